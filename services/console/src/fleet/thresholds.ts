/** How bad a problem is. */
export type Severity = 'warning' | 'critical';

/** When a figure of a node is a problem. The numbers are those of the alerts, to which a test holds them. */
export interface Threshold {
  /** The name of the alert, which is also its entry in the runbook. */
  readonly alert: string;
  readonly severity: Severity;
  /** The figure is a problem above this. */
  readonly above: number;
}

/** Share of a node's connections that it closed as slow within five minutes. */
export const SLOW_SHARE: readonly Threshold[] = [
  { alert: 'EdgeSlowClients', severity: 'critical', above: 0.05 },
  { alert: 'EdgeSlowClients', severity: 'warning', above: 0.01 },
];

/** Resident memory, as a share of the limit. */
export const MEMORY_SHARE: readonly Threshold[] = [
  { alert: 'EdgeMemory', severity: 'critical', above: 1 },
  { alert: 'EdgeMemory', severity: 'warning', above: 0.9 },
];

/** CPU of the busiest thread over two minutes, as a share of a core. */
export const BUSY_SHARE: readonly Threshold[] = [
  { alert: 'EdgeCpu', severity: 'critical', above: 0.75 },
  { alert: 'EdgeCpu', severity: 'warning', above: 0.6 },
];

/** The 99th percentile of the time from a publication to the sockets over five minutes, in seconds. */
export const LAG_SECONDS: readonly Threshold[] = [
  { alert: 'EdgePublishLag', severity: 'warning', above: 0.1 },
];

/** Connections, as a share of those that the node may hold. */
export const FULL_SHARE: readonly Threshold[] = [
  { alert: 'EdgeNearlyFull', severity: 'warning', above: 0.9 },
];

/** Age of the newest probe that came back from Redis, in seconds. */
export const PROBE_AGE_SECONDS: readonly Threshold[] = [
  { alert: 'EdgeProbeAge', severity: 'critical', above: 10 },
];

/** Losses that a node told its clients, a second, over five minutes. */
export const GAPS_PER_SECOND: readonly Threshold[] = [
  { alert: 'EdgeGaps', severity: 'warning', above: 0.1 },
];

/** Losses of the link to Redis within 15 minutes. */
export const LINK_LOSSES: readonly Threshold[] = [
  { alert: 'EdgeLinkLosses', severity: 'warning', above: 2.5 },
];

/** Fan-out workers lost within ten minutes. */
export const WORKERS_LOST: readonly Threshold[] = [
  { alert: 'EdgeWorkerLost', severity: 'warning', above: 0 },
];

/** All tables, for the test that holds them to the alerts. */
export const THRESHOLDS: readonly Threshold[] = [
  ...SLOW_SHARE,
  ...MEMORY_SHARE,
  ...BUSY_SHARE,
  ...LAG_SECONDS,
  ...FULL_SHARE,
  ...PROBE_AGE_SECONDS,
  ...GAPS_PER_SECOND,
  ...LINK_LOSSES,
  ...WORKERS_LOST,
];

/** The threshold that a figure passes, the most severe first; undefined if none. */
export function passed(figure: number, thresholds: readonly Threshold[]): Threshold | undefined {
  return thresholds.find(({ above }) => figure > above);
}
