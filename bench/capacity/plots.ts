import type { Options } from 'uplot';
import type { TimelinePoint } from './timeline.ts';

/** A named stretch of the x axis. */
export interface Band {
  readonly name: string;
  /** In s since the start. */
  readonly from: number;
  readonly to: number;
}

/** One plot of the report. It is plain JSON, because the page draws it; `draw-plots.js` adds size and colours. */
export interface Plot {
  readonly title: string;
  /** Options of uPlot without what depends on the browser. */
  readonly options: Pick<Options, 'scales' | 'axes' | 'series' | 'cursor'>;
  /**
   * Seconds since the start, then one row of values for each line. `null` is a value that was not measured. The first
   * column is second 0 without values, so that all plots begin there.
   */
  readonly data: readonly (readonly (number | null)[])[];
  /** The phases of the run. */
  readonly bands: readonly Band[];
}

/** The unit of a y axis, and whether its marks are powers of ten. */
interface YAxis {
  readonly label: string;
  readonly isLogarithmic?: boolean;
}

interface Line {
  readonly name: string;
  readonly pick: (point: TimelinePoint) => number | undefined;
  /** Whether the line connects the values on both sides of a missing one; for values that not every interval reads. */
  readonly spansGaps?: boolean;
}

/** Width of a y axis in CSS pixels: enough for `10,000,000`, and equal in all plots, so that they align. */
const Y_AXIS_WIDTH = 76;

/** Height of the x axis, and of the label of an axis, in CSS pixels. */
const X_AXIS_HEIGHT = 32;
const LABEL_HEIGHT = 18;

/** An axis ends at this value at least. Without it, the axis of a run in which nothing happened has no length. */
const LOWEST_END = 1;

/** The distances of the x axis' marks, in s. No point is less than a fraction of a second from the next. */
const SECONDS_BETWEEN_MARKS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600];

/**
 * The plots of a run: none if nothing was recorded. If the servers run on another machine, lines and plots of their
 * processes are left out.
 */
export function plotsOf(timeline: readonly TimelinePoint[]): readonly Plot[] {
  if (timeline.length === 0) return [];
  const bands = bandsOf(timeline);
  const knowsServer = timeline.some(({ serverCores }) => serverCores !== undefined);
  const plot = (title: string, y: YAxis, lines: readonly Line[]): Plot => ({
    title,
    options: optionsOf(y, lines),
    data: [
      [0, ...timeline.map(({ seconds }) => seconds)],
      ...lines.map(({ pick }) => [null, ...timeline.map((point) => drawable(pick(point), y))]),
    ],
    bands,
  });
  const anyFailed = timeline.some(({ failedConnections }) => failedConnections > 0);
  const failed: Line = { name: 'failed', pick: (point) => point.failedConnections };
  const serverCores: Line = { name: 'edges', pick: (point) => point.serverCores };
  const plots = [
    plot('Clients over time', { label: 'clients' }, [
      { name: 'open and subscribed', pick: (point) => point.openConnections },
      ...(anyFailed ? [failed] : []),
    ]),
    plot('Deliveries over time', { label: 'deliveries per second' }, [
      { name: 'received by clients', pick: (point) => point.deliveredRate },
    ]),
    plot(
      'Latency over time, publish to receive',
      { label: 'ms (logarithmic)', isLogarithmic: true },
      [
        { name: 'median', pick: (point) => point.latency?.p50 },
        { name: '99 %', pick: (point) => point.latency?.p99 },
        { name: 'highest', pick: (point) => point.latency?.max },
      ],
    ),
    plot('CPU over time', { label: 'busy cores' }, [
      ...(knowsServer ? [serverCores] : []),
      { name: 'load processes', pick: (point) => point.loadCores },
      { name: 'whole machine', pick: (point) => point.machineCores },
    ]),
  ];
  if (knowsServer) {
    plots.push(
      plot('Memory of the edges over time', { label: 'MiB (PSS)' }, [
        { name: 'all edges', pick: serverMebibytes, spansGaps: true },
      ]),
    );
  }
  return plots;
}

/** A logarithmic axis has no place for 0. */
function drawable(value: number | undefined, { isLogarithmic }: YAxis): number | null {
  if (value === undefined || (isLogarithmic === true && value <= 0)) return null;
  return value;
}

function serverMebibytes({ serverMemoryBytes }: TimelinePoint): number | undefined {
  return serverMemoryBytes === undefined ? undefined : serverMemoryBytes / 2 ** 20;
}

function optionsOf({ label, isLogarithmic }: YAxis, lines: readonly Line[]): Plot['options'] {
  const fromZero = {
    min: { pad: 0, hard: 0, soft: 0, mode: 1 as const },
    max: { pad: 0.1, soft: LOWEST_END, mode: 1 as const },
  };
  return {
    // One cursor in all plots.
    cursor: { sync: { key: 'run' }, drag: { x: true, y: false } },
    scales: {
      x: { time: false },
      y: isLogarithmic === true ? { distr: 3 } : { range: fromZero },
    },
    axes: [
      {
        label: 'time since the start (s)',
        size: X_AXIS_HEIGHT,
        labelSize: LABEL_HEIGHT,
        incrs: SECONDS_BETWEEN_MARKS,
      },
      { label, size: Y_AXIS_WIDTH, labelSize: LABEL_HEIGHT },
    ],
    series: [
      { label: 'seconds' },
      ...lines.map(({ name, spansGaps = false }) => ({ label: name, spanGaps: spansGaps })),
    ],
  };
}

function bandsOf(timeline: readonly TimelinePoint[]): readonly Band[] {
  const bands: { name: string; from: number; to: number }[] = [];
  for (const { phase, seconds } of timeline) {
    const last = bands.at(-1);
    if (last?.name === phase) last.to = seconds;
    else bands.push({ name: phase, from: last?.to ?? 0, to: seconds });
  }
  return bands;
}
