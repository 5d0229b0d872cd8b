import type { RefObject } from 'preact';
import { useState } from 'preact/hooks';
import { counted } from '../src/fleet/counted.ts';
import type { NodeRow } from '../src/fleet/fleet.ts';
import { FULL_SHARE, passed } from '../src/fleet/thresholds.ts';
import { Sparkline } from './chart.tsx';
import { bytes, percent, short, whole } from './format.ts';
import { nodeLines, nodeRows, nodes } from './live.ts';
import { lookAt } from './looking.ts';
import { SeenRow } from './seen.ts';

/** What each state of a node looks like. */
const STATES: Readonly<
  Record<NodeRow['health'], { readonly tone: string; readonly icon: string }>
> = {
  ready: { tone: 'good', icon: '●' },
  unready: { tone: 'warn', icon: '▲' },
  draining: { tone: 'warn', icon: '▽' },
  degraded: { tone: 'bad', icon: '■' },
  silent: { tone: 'bad', icon: '■' },
};

interface Column {
  readonly title: string;
  /** What the figure is, for those who point at its name. */
  readonly hint: string;
  readonly of: (row: NodeRow) => number;
  readonly show: (row: NodeRow) => string;
  /** Left out on a narrow page, unless it is what the table is sorted by. */
  readonly isWide: boolean;
  /** Whether a value far from the others' is marked: far above them, or on either side. */
  readonly outliers?: 'above' | 'both';
  /** Below this nothing is an outlier, however small the others are; 0 if it is not given. */
  readonly least?: number;
  /** Why the value is a problem by itself, whatever the others are. */
  readonly warns?: (row: NodeRow) => string | undefined;
}

const COLUMNS: readonly Column[] = [
  {
    title: 'Clients',
    hint: 'Open connections',
    of: ({ connections }) => connections,
    show: ({ connections }) => whole(connections),
    isWide: false,
    warns: ({ connections, connectionsLimit }) =>
      passed(connections / Math.max(1, connectionsLimit), FULL_SHARE) !== undefined
        ? `nearly full: it may hold ${whole(connectionsLimit)}`
        : undefined,
  },
  {
    title: 'Deliveries/s',
    hint: 'Publications that were put on sockets, a second',
    of: ({ deliveries }) => deliveries,
    show: ({ deliveries }) => short(deliveries),
    isWide: true,
    outliers: 'both',
  },
  {
    title: 'p99',
    hint: 'From the publication to the socket, the 99th percentile of ten seconds',
    of: ({ p99Ms }) => p99Ms ?? 0,
    show: ({ p99Ms }) => (p99Ms === undefined ? '–' : `≤ ${whole(p99Ms)} ms`),
    isWide: true,
    outliers: 'above',
    // Half of what the alert is at.
    least: 50,
  },
  {
    title: 'Queue max',
    hint: 'Publications that wait for the client that is furthest behind',
    of: ({ queueMax }) => queueMax,
    show: ({ queueMax }) => whole(queueMax),
    isWide: true,
  },
  {
    title: 'Slow, 5 min',
    hint: 'Clients that were closed as slow',
    of: ({ slow }) => slow,
    show: ({ slow }) => whole(slow),
    isWide: true,
    outliers: 'above',
    least: 5,
  },
  {
    title: 'Busy',
    hint: 'Share of a core that the busiest thread uses',
    of: ({ busy }) => busy,
    show: ({ busy }) => percent(busy),
    isWide: true,
    outliers: 'above',
    least: 0.2,
  },
  {
    title: 'Memory',
    hint: 'Resident memory, as a share of the limit',
    of: ({ memory }) => memory ?? 0,
    show: ({ memory }) => (memory === undefined ? '–' : percent(memory)),
    isWide: true,
    outliers: 'above',
    least: 0.2,
  },
  {
    title: 'Memory/client',
    hint: 'Resident memory by client, from 5,000 clients on',
    of: ({ bytesPerConnection }) => bytesPerConnection,
    show: ({ connections, bytesPerConnection }) =>
      connections < LEAST_CLIENTS ? '–' : bytes(bytesPerConnection),
    isWide: true,
  },
];

/** Below this number of clients, what the process takes for itself is most of a client's share. */
const LEAST_CLIENTS = 5_000;

/** A value is an outlier beyond this many median absolute deviations from the median. */
const OUTLIER_DEVIATIONS = 3;

/** Outliers are looked for among at least this many nodes. */
const LEAST_NODES = 4;

/** One row a node, with what is unlike the others' marked. */
export function NodeTable(props: { readonly filter: string }) {
  const [sorted, setSorted] = useState<string | undefined>(undefined);
  const column = COLUMNS.find(({ title }) => title === sorted);
  const matching = nodes.value.filter(({ node }) => node.includes(props.filter));
  const rows =
    column === undefined ? matching : matching.toSorted((a, b) => column.of(b) - column.of(a));
  const edges = nodes.value.filter(({ kind, health }) => kind === 'edge' && health !== 'silent');
  const outliers = new Map(
    COLUMNS.map(({ title, of, outliers: sides, least }) => [
      title,
      sides === undefined ? () => false : outlierTest(edges.map(of), sides, least),
    ]),
  );
  return (
    <div class="card scroll">
      <h2>Nodes</h2>
      {rows.length > 0 && (
        <table class="nodes">
          <thead>
            <tr>
              <th>Node</th>
              <th>State</th>
              <th class="wide" title="Deliveries a second">
                Last 60 s
              </th>
              {COLUMNS.map(({ title, hint, isWide }) => (
                <th
                  key={title}
                  title={hint}
                  class={`number ${isWide && sorted !== title ? 'wide' : ''}`}
                  aria-sort={sorted === title ? 'descending' : undefined}
                >
                  <button
                    type="button"
                    class="quiet"
                    onClick={() => setSorted(sorted === title ? undefined : title)}
                  >
                    {title}
                    {sorted === title ? ' ↓' : ''}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row
                key={row.node}
                row={row}
                line={nodeLines.value.get(row.node) ?? []}
                sorted={sorted}
                outliers={outliers}
              />
            ))}
          </tbody>
        </table>
      )}
      {rows.length > 0 && <p class="note">{legendOf(rows)}</p>}
      {rows.length === 0 && nodeRows.value !== undefined && (
        <p class="nothing">
          {nodes.value.length === 0
            ? 'No node has told its state within ten minutes.'
            : 'No node matches.'}
        </p>
      )}
    </div>
  );
}

/** What the marks of the table mean. */
const MARKS = [
  '◆ far from the other edges’ figures',
  '▲ nearly full: above 90 % of the clients that it may hold',
];

/** What the marks in the table mean, and whose figures are old. */
export function legendOf(rows: readonly Pick<NodeRow, 'health' | 'kind'>[]): string {
  const silent = rows.filter(({ kind, health }) => kind === 'edge' && health === 'silent').length;
  const grey =
    silent === 0
      ? []
      : [
          `grey: last figures of ${counted(silent, 'silent edge')}, which no tile and no chart counts`,
        ];
  return [...MARKS, ...grey].join(' · ');
}

interface RowProps {
  readonly row: NodeRow;
  readonly line: readonly (number | null)[];
  readonly sorted: string | undefined;
  readonly outliers: ReadonlyMap<string, (value: number) => boolean>;
}

class Row extends SeenRow<RowProps> {
  override markOf({ row, sorted }: RowProps): string {
    return `${row.health} ${sorted}`;
  }

  override draw(props: RowProps) {
    return drawRow(props, this.place);
  }
}

function drawRow(
  { row, line, sorted, outliers }: RowProps,
  place: RefObject<HTMLTableRowElement | null>,
) {
  const { tone, icon } = STATES[row.health];
  const silence = row.health === 'silent' ? ` ${Math.floor(row.silentMs / 1_000)} s` : '';
  return (
    <tr ref={place} class={row.health === 'silent' ? 'gone' : ''}>
      <td>
        <button type="button" class="link" data-row onClick={() => lookAt({ node: row.node })}>
          {row.node}
        </button>
        {row.kind === 'ingest' && <span class="kind">ingest</span>}
      </td>
      <td class={`state ${tone}`}>
        <span aria-hidden="true">{icon}</span> {row.health}
        {silence}
      </td>
      <td class="wide">
        {row.kind === 'edge' && (
          <Sparkline values={line} label={`Deliveries of ${row.node} within a minute`} />
        )}
      </td>
      {COLUMNS.map(({ title, of, show, isWide, warns }) => {
        const isOutlier =
          row.kind === 'edge' && row.health !== 'silent' && outliers.get(title)?.(of(row)) === true;
        const isOld = row.kind === 'edge' && row.health === 'silent';
        const warning = row.kind === 'edge' && !isOld ? warns?.(row) : undefined;
        const classes = [
          'number',
          isWide && sorted !== title ? 'wide' : '',
          isOutlier || warning !== undefined ? 'outlier' : '',
        ];
        return (
          <td
            key={title}
            class={classes.join(' ')}
            title={isOld ? 'last known, before it fell silent' : undefined}
          >
            {warning !== undefined && <span title={warning}>▲ </span>}
            {isOutlier && <span title="unlike the other nodes">◆ </span>}
            {row.kind === 'edge' ? show(row) : ''}
          </td>
        );
      })}
    </tr>
  );
}

/**
 * Tells values that lie far from the median, measured by the median of all distances from it.
 *
 * @param least what is below is no outlier: twice of nearly nothing is nothing to look at.
 */
export function outlierTest(
  values: readonly number[],
  sides: 'above' | 'both',
  least = 0,
): (value: number) => boolean {
  if (values.length < LEAST_NODES) return () => false;
  const middle = median(values);
  const deviation = median(values.map((value) => Math.abs(value - middle)));
  // Where most are equal the deviation is 0; a tenth of the median is then no outlier yet.
  const unit = Math.max(deviation, Math.abs(middle) * 0.1, 1e-9);
  return (value) => {
    const distance = sides === 'above' ? value - middle : Math.abs(value - middle);
    return value >= least && distance > OUTLIER_DEVIATIONS * unit;
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? 0) + upper) / 2;
}
