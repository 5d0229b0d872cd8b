import { LAG_BOUNDS_MS, type NodeState, WIRE_FIGURES } from '@tradewind/bus';
import { Series } from './series.ts';

/** How long totals are kept, in s: the longest window of an alert. */
const WINDOW_SECONDS = 900;

/** Totals whose increase over a window is asked for. */
const KEPT_TOTALS = [
  'received',
  'deliveries',
  'sentBytes',
  'closedSlow',
  'gaps',
  'lost',
  'repaired',
  'linkLosses',
  'workersLost',
  'accepted',
  'refused',
] as const;

/** Totals that are shown over a minute, and that no alert asks for. */
const MINUTE_TOTALS = [
  'skipped',
  'savedBytes',
  'rawFirst',
  'rawUnshrinkable',
  'rawBudget',
] as const;

const MINUTE_SECONDS = 60;

/** A total of a node. */
export type KeptTotal = (typeof KEPT_TOTALS | typeof MINUTE_TOTALS)[number];

/**
 * What the console remembers of one node: its last state, when that last changed, and its totals of the last 15 minutes,
 * second by second. 25 series of 901 numbers and five of 61: 183 KB a node.
 *
 * Its clock is the time over which states could be read, in ms: while Redis does not answer, no node falls silent.
 */
export class NodeRecord {
  #state: NodeState;
  #changedAt: number;
  readonly #totals = new Map<KeptTotal, Series>();
  readonly #lag = LAG_BOUNDS_MS.map(() => new Series(WINDOW_SECONDS + 1)).concat(
    new Series(WINDOW_SECONDS + 1),
  );
  readonly #busy = new Series(WINDOW_SECONDS + 1);
  /** Seconds since its first totals, skipped ones included. */
  #seconds = 0;

  constructor(state: NodeState, seenMs: number) {
    this.#state = state;
    this.#changedAt = seenMs;
    for (const total of KEPT_TOTALS) this.#totals.set(total, new Series(WINDOW_SECONDS + 1));
    for (const total of MINUTE_TOTALS) this.#totals.set(total, new Series(MINUTE_SECONDS + 1));
  }

  get state(): NodeState {
    return this.#state;
  }

  /** How long its state has not changed, in ms. */
  silentMs(seenMs: number): number {
    return seenMs - this.#changedAt;
  }

  /** Takes the state in that was read last. */
  read(state: NodeState, seenMs: number): void {
    const isRestart = state.startedAt !== this.#state.startedAt;
    if (!isRestart && state.beat === this.#state.beat) return;
    if (isRestart) this.#forget();
    this.#state = isRestart ? state : withWireFigures(state, this.#state);
    this.#changedAt = seenMs;
  }

  /** A second is over: its totals are those of its last state. */
  tick(): void {
    const { figures, lag } = this.#state;
    this.#seconds += 1;
    for (const [total, series] of this.#totals) series.push(figures[total] ?? 0);
    this.#lag.forEach((series, i) => {
      series.push(lag[i] ?? 0);
    });
    this.#busy.push(figures.busyPermille ?? 0);
  }

  /** Appends seconds without figures, because Redis did not answer. They stay empty, so that windows keep their length. */
  skip(seconds: number): void {
    this.#seconds += seconds;
    this.#pushUnknown(Math.min(seconds, WINDOW_SECONDS));
  }

  /** How much a total has grown within the last `seconds`, as far as it is known, or since the node started or was first seen. */
  increase(total: KeptTotal, seconds: number): number {
    return growth(this.#totals.get(total), seconds);
  }

  /** How much a total has grown since the last earlier second whose total is known. */
  increaseSinceKnown(total: KeptTotal): number {
    return this.increase(total, this.#knownBack(total, 1) ?? 1);
  }

  /** The same a second. Where it is unknown what a total was `seconds` ago, the mean goes back to when it was known last before. */
  rate(total: KeptTotal, seconds: number): number {
    const back = this.#knownBack(total, seconds) ?? seconds;
    return this.increase(total, back) / back;
  }

  /**
   * The same over what is known of the last `seconds`, for figures that are shown: a node that is new, or that was not seen for a
   * while, has its rate from the second second on. An alert divides by the whole window, because one loss is not a rate yet.
   */
  knownRate(total: KeptTotal, seconds: number): number {
    const series = this.#totals.get(total);
    let back = seconds;
    while (back > 1 && Number.isNaN(series?.at(back) ?? Number.NaN)) back -= 1;
    return this.increase(total, back) / back;
  }

  /** Samples of the lag within the last `seconds` by `LAG_BOUNDS_MS`, and above the last. */
  lagSamples(seconds: number): readonly number[] {
    return this.#lag.map((series) => growth(series, seconds));
  }

  /** The mean share of a core that its busiest thread used within the last `seconds`. */
  busyShare(seconds: number): number {
    let sum = 0;
    let count = 0;
    for (let back = 0; back < seconds; back += 1) {
      const value = this.#busy.at(back);
      if (Number.isNaN(value)) break;
      sum += value;
      count += 1;
    }
    return count === 0 ? 0 : sum / count / 1_000;
  }

  /** The last second, `seconds` ago or before, at which a total is known, counted back from now. */
  #knownBack(total: KeptTotal, seconds: number): number | undefined {
    const series = this.#totals.get(total);
    const first = Math.min(WINDOW_SECONDS, this.#seconds - 1);
    for (let back = seconds; series !== undefined && back <= first; back += 1) {
      if (!Number.isNaN(series.at(back))) return back;
    }
    return undefined;
  }

  #forget(): void {
    this.#seconds = 0;
    this.#pushUnknown(WINDOW_SECONDS + 1);
  }

  #pushUnknown(count: number): void {
    for (const series of [...this.#totals.values(), ...this.#lag, this.#busy]) {
      for (let i = 0; i < count; i += 1) series.push(Number.NaN);
    }
  }
}

/**
 * A state leaves out the wire figures that are 0, and all of them if it has no room. A total never shrinks, so a missing total that
 * was above 0 means that there was no room. The previous figures hold then. Zeros would say that no client reads binary frames,
 * and the next state with room would count all bytes ever saved as those of one second.
 */
function withWireFigures(state: NodeState, before: NodeState): NodeState {
  const known = Object.entries(before.figures).filter(([name]) => name in WIRE_FIGURES);
  const isLeftOut = known.some(
    ([name, value]) =>
      WIRE_FIGURES[name as keyof typeof WIRE_FIGURES] === 'total' &&
      value > 0 &&
      state.figures[name] === undefined,
  );
  if (!isLeftOut) return state;
  return { ...state, figures: { ...Object.fromEntries(known), ...state.figures } };
}

/** From the oldest value within the window to the newest. */
function growth(series: Series | undefined, seconds: number): number {
  if (series === undefined) return 0;
  for (let back = Math.min(seconds, WINDOW_SECONDS); back > 0; back -= 1) {
    const before = series.at(back);
    if (!Number.isNaN(before)) return Math.max(0, series.at(0) - before);
  }
  return 0;
}

/**
 * The upper bound of the bucket that holds the quantile, in ms; undefined without samples. Above the last bound it is
 * that bound.
 */
export function lagQuantile(samples: readonly number[], quantile: number): number | undefined {
  const total = samples.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let seen = 0;
  for (const [i, count] of samples.entries()) {
    seen += count;
    if (seen >= total * quantile) return LAG_BOUNDS_MS[Math.min(i, LAG_BOUNDS_MS.length - 1)];
  }
  return LAG_BOUNDS_MS.at(-1);
}
