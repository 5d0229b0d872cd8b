import { LatencyHistogram } from '../processes/latency-histogram.ts';

/** How long one half of the recent window lasts, in ms: percentiles cover the last 5 to 10 s. */
const HALF_WINDOW_MS = 5_000;

/** In ms, to three significant digits; undefined while nothing was recorded. */
export interface ShownPercentiles {
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** Times between publishing and receiving: all of them, and those of the last seconds. */
export class Latency {
  readonly #all = new LatencyHistogram();
  #current = new LatencyHistogram();
  #previous = new LatencyHistogram();
  #turnedAt: number;

  /** @param now by `performance.now()`, as everywhere here, in ms. */
  constructor(now: number) {
    this.#turnedAt = now;
  }

  record(milliseconds: number, now: number): void {
    this.#turn(now);
    this.#all.record(milliseconds * 1_000);
    this.#current.record(milliseconds * 1_000);
  }

  /** Of the last 5 to 10 s. */
  recent(now: number): ShownPercentiles {
    this.#turn(now);
    return percentilesOf([this.#previous, this.#current]);
  }

  /** The percentiles of everything that any of them recorded. */
  static overall(latencies: Iterable<Latency>): ShownPercentiles {
    return percentilesOf(Array.from(latencies, (latency) => latency.#all));
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

function percentilesOf(parts: readonly LatencyHistogram[]): ShownPercentiles {
  const total = new LatencyHistogram();
  for (const part of parts) total.add(part.counts());
  const { p50, p99 } = total.percentiles() ?? {};
  return { p50, p99 };
}
