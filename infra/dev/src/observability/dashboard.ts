/** Grafana's unit for a share between 0 and 1. */
export const PERCENT_UNIT = 'percentunit';

export interface Query {
  /** PromQL; may hold `$edge`, `$ingest` and `$__rate_interval`. */
  readonly expr: string;
  /** What a line is called; `{{label}}` stands for the value of a label. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** One of Grafana's units: `ops`, `Bps`, `bytes`, `s`, `short`, `percentunit`. */
  readonly unit: string;
  readonly queries: readonly Query[];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Grafana's grid is 24 columns wide: three panels beside each other. */
const PANEL_WIDTH = 8;
const PANEL_HEIGHT = 7;
const PANELS_PER_LINE = 3;

/** The schema of Grafana 10; later versions read it too. */
const SCHEMA_VERSION = 38;

/** `$datasource` is the variable with which a viewer chooses a Prometheus. */
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

/** Which instances a variable offers: those of one job of prometheus.yml. */
const INSTANCE_VARIABLES = [
  { name: 'edge', label: 'Edge', job: 'tradewind-edge' },
  { name: 'ingest', label: 'Ingest', job: 'tradewind-ingest' },
];

/** A dashboard in the form that Grafana imports. */
export function renderDashboard(rows: readonly Row[]): object {
  return {
    uid: 'tradewind',
    title: 'Tradewind',
    tags: ['tradewind'],
    schemaVersion: SCHEMA_VERSION,
    editable: true,
    graphTooltip: 1,
    refresh: '15s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    templating: { list: [datasourceVariable(), ...INSTANCE_VARIABLES.map(instanceVariable)] },
    panels: layOut(rows),
  };
}

/**
 * A query as Prometheus understands it, with Grafana's variables replaced: all instances, and a range
 * for rates (`30s`).
 */
export function substituteVariables(expr: string, rateInterval: string): string {
  return expr.replaceAll(/\$(edge|ingest)\b/g, '.+').replaceAll('$__rate_interval', rateInterval);
}

function layOut(rows: readonly Row[]): object[] {
  const laid: object[] = [];
  let y = 0;
  for (const { title, panels } of rows) {
    laid.push({
      id: laid.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    panels.forEach((panel, index) => {
      const line = Math.floor(index / PANELS_PER_LINE);
      laid.push(
        renderPanel(panel, laid.length + 1, index % PANELS_PER_LINE, y + line * PANEL_HEIGHT),
      );
    });
    y += Math.ceil(panels.length / PANELS_PER_LINE) * PANEL_HEIGHT;
  }
  return laid;
}

function renderPanel({ title, unit, queries }: Panel, id: number, column: number, y: number) {
  return {
    id,
    type: 'timeseries',
    title,
    datasource: DATASOURCE,
    gridPos: { x: column * PANEL_WIDTH, y, w: PANEL_WIDTH, h: PANEL_HEIGHT },
    fieldConfig: {
      defaults: { unit, min: 0, custom: { lineWidth: 1, fillOpacity: 5, showPoints: 'never' } },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      range: true,
    })),
  };
}

function datasourceVariable() {
  return { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' };
}

function instanceVariable({ name, label, job }: (typeof INSTANCE_VARIABLES)[number]) {
  const query = `label_values(up{job="${job}"}, instance)`;
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    multi: true,
    includeAll: true,
    allValue: '.+',
    current: { text: ['All'], value: ['$__all'] },
  };
}
