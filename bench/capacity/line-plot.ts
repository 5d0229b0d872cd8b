import { shortText } from './number-text.ts';

/** One line of a plot. */
export interface Series {
  readonly name: string;
  /** x in s; where y is undefined the line is interrupted, unless `spans` is set. */
  readonly points: readonly (readonly [x: number, y: number | undefined])[];
  /** Whether the line goes on over what is missing: for values that are read now and then. */
  readonly spans: boolean;
}

/** A stretch of the x axis that is named. */
export interface Band {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface LinePlot {
  readonly title: string;
  /** What the y axis shows, with its unit. */
  readonly yLabel: string;
  readonly yScale: 'linear' | 'log';
  readonly series: readonly Series[];
  readonly bands: readonly Band[];
  /** The end of the x axis, in s. */
  readonly seconds: number;
}

const WIDTH = 720;
const HEIGHT = 280;
const LEFT = 88;
const RIGHT = 14;
const TOP = 26;
const BOTTOM = 46;
const INNER_WIDTH = WIDTH - LEFT - RIGHT;
const INNER_HEIGHT = HEIGHT - TOP - BOTTOM;

/** About how many marks an axis gets. */
const Y_TICKS = 5;
const X_TICKS = 8;

/** What is lower than this is nothing, on an axis of its own: far below it the marks' distances are no numbers any more. */
const LEAST_HIGHEST = 1e-12;

/** A name is written into a band that has this many units of width for each of its letters. */
const LETTER_WIDTH = 7;

interface Axis {
  readonly ticks: readonly number[];
  /** Where a value lies, from 0 (bottom) to 1. */
  place(value: number): number;
}

/** An SVG element, drawn in the classes of the report's style sheet. */
export function drawLinePlot(plot: LinePlot): string {
  const values = plot.series.flatMap(({ points }) => points.flatMap(([, y]) => y ?? []));
  const yAxis =
    plot.yScale === 'log' ? logAxis(values) : linearAxis(Math.max(0, ...values), Y_TICKS);
  const xAxis = linearAxis(Math.max(1, plot.seconds), X_TICKS);
  const end = Math.max(1, plot.seconds);
  const x = (seconds: number): string => (LEFT + (seconds / end) * INNER_WIDTH).toFixed(1);
  const y = (value: number): string => (TOP + (1 - yAxis.place(value)) * INNER_HEIGHT).toFixed(1);
  const bottom = TOP + INNER_HEIGHT;
  const parts = [
    ...plot.bands.map((band, i) => drawBand(band, i, Number(x(band.from)), Number(x(band.to)))),
    ...yAxis.ticks.map(
      (tick) =>
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick)}" y2="${y(tick)}"/>` +
        `<text class="tick" text-anchor="end" x="${LEFT - 8}" y="${y(tick)}" dy="0.32em">${shortText(tick)}</text>`,
    ),
    ...xAxis.ticks
      .filter((tick) => tick <= end)
      .map(
        (tick) =>
          `<line class="axis" x1="${x(tick)}" x2="${x(tick)}" y1="${bottom}" y2="${bottom + 4}"/>` +
          `<text class="tick" text-anchor="middle" x="${x(tick)}" y="${bottom + 18}">${shortText(tick)}</text>`,
      ),
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${bottom}" y2="${bottom}"/>`,
    `<text class="label" text-anchor="middle" x="${LEFT + INNER_WIDTH / 2}" y="${HEIGHT - 8}">time since the start (s)</text>`,
    `<text class="label" text-anchor="middle" transform="translate(14 ${TOP + INNER_HEIGHT / 2}) rotate(-90)">${escapeXml(plot.yLabel)}</text>`,
    ...plot.series.map(
      (series, i) => `<path class="line series-${i + 1}" d="${pathOf(series, x, y)}"/>`,
    ),
  ];
  const label = escapeXml(`${plot.title}: ${plot.yLabel} over time`);
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">${parts.join('')}</svg>`;
}

function drawBand({ name }: Band, index: number, from: number, to: number): string {
  const width = Math.max(0, to - from);
  const shade = index % 2 === 0 ? 'band even' : 'band odd';
  const rectangle = `<rect class="${shade}" x="${from}" y="${TOP}" width="${width.toFixed(1)}" height="${INNER_HEIGHT}"/>`;
  if (width < name.length * LETTER_WIDTH) return rectangle;
  return `${rectangle}<text class="band-name" x="${from + 5}" y="${TOP - 8}">${escapeXml(name)}</text>`;
}

function pathOf(
  { points, spans }: Series,
  x: (seconds: number) => string,
  y: (value: number) => string,
): string {
  let path = '';
  let isDrawing = false;
  for (const [seconds, value] of points) {
    if (value === undefined) {
      isDrawing &&= spans;
      continue;
    }
    const at = `${x(seconds)} ${y(value)}`;
    // A lone point shows as a dot, since line ends are round.
    path += isDrawing ? `L${at}` : `M${at}h0`;
    isDrawing = true;
  }
  return path;
}

/** Marks at 1, 2 or 5 times a power of ten, from 0 to the first one that is not below the highest. */
function linearAxis(highest: number, wanted: number): Axis {
  const end = highest < LEAST_HIGHEST ? 1 : highest;
  const rough = end / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough;
  const count = Math.max(1, Math.ceil(end / step - 1e-9));
  const ticks = Array.from({ length: count + 1 }, (_, i) => i * step);
  const top = count * step;
  return { ticks, place: (value) => value / top };
}

/** Marks at powers of ten around all values that are above 0. */
function logAxis(values: readonly number[]): Axis {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(1, ...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, ...positive))));
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const place = (value: number): number =>
    value <= 0 ? 0 : (Math.log10(value) - low) / (high - low);
  return { ticks, place };
}

export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
