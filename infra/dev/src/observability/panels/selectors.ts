/** The edges that a viewer of the dashboard has chosen. */
export const EDGE = 'instance=~"$edge"';

/** The same of ingest. */
export const INGEST = 'instance=~"$ingest"';

/** The range of a rate, for which Grafana chooses a length. */
export const RATE = '[$__rate_interval]';
