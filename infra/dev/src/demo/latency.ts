import { build, type Histogram } from 'hdr-histogram-js';

/** Latencies above this count as this, in µs: a minute. */
const MAX_MICROSECONDS = 60_000_000;

/** How long one half of the recent window lasts, in ms: percentiles cover the last 5 to 10 s. */
const HALF_WINDOW_MS = 5_000;

export interface Percentiles {
  /** In ms, to three significant digits; undefined while nothing was recorded. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** Times between publishing and receiving: all of them, and those of the last seconds. */
export class Latency {
  readonly #all = histogram();
  #current = histogram();
  #previous = histogram();
  #turnedAt: number;

  /** @param now by `performance.now()`, as everywhere here, in ms. */
  constructor(now: number) {
    this.#turnedAt = now;
  }

  record(milliseconds: number, now: number): void {
    this.#turn(now);
    const microseconds = Math.round(milliseconds * 1_000);
    const value = Math.min(MAX_MICROSECONDS, Math.max(1, microseconds));
    this.#all.recordValue(value);
    this.#current.recordValue(value);
  }

  /** Of the last 5 to 10 s. */
  recent(now: number): Percentiles {
    this.#turn(now);
    const both = histogram();
    both.add(this.#previous);
    both.add(this.#current);
    return percentilesOf(both);
  }

  /** Adds all that was recorded here to `total`. */
  addTo(total: Histogram): void {
    total.add(this.#all);
  }

  #turn(now: number): void {
    const halves = Math.floor((now - this.#turnedAt) / HALF_WINDOW_MS);
    if (halves === 0) return;
    this.#turnedAt += halves * HALF_WINDOW_MS;
    const emptied = this.#previous;
    this.#previous = this.#current;
    this.#current = emptied;
    emptied.reset();
    if (halves > 1) this.#previous.reset();
  }
}

/** The percentiles of everything that any of them recorded. */
export function overall(latencies: Iterable<Latency>): Percentiles {
  const total = histogram();
  for (const latency of latencies) latency.addTo(total);
  return percentilesOf(total);
}

function histogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_MICROSECONDS,
    numberOfSignificantValueDigits: 3,
  });
}

function percentilesOf(of: Histogram): Percentiles {
  if (of.totalCount === 0) return { p50: undefined, p99: undefined };
  return {
    p50: of.getValueAtPercentile(50) / 1_000,
    p99: of.getValueAtPercentile(99) / 1_000,
  };
}
