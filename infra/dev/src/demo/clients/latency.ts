import { LatencyHistogram } from '../../processes/latency-histogram.ts';

/** How long one half of the recent window lasts, in ms: percentiles cover the last 5 to 10 s. */
const HALF_WINDOW_MS = 5_000;

/** The first part of a run, in ms, in which compilers warm up: its latencies are left out where there are later ones. */
const WARM_UP_MS = 4_000;

/** In ms, to three significant digits; undefined while nothing was recorded. */
export interface ShownPercentiles {
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** Times between publishing and receiving: all of them, and those of the last seconds. */
export class Latency {
  readonly #all = new LatencyHistogram();
  readonly #warmUp = new LatencyHistogram();
  readonly #begun: number;
  #current = new LatencyHistogram();
  #previous = new LatencyHistogram();
  #turnedAt: number;

  /** @param now by `performance.now()`, as everywhere here, in ms. */
  constructor(now: number) {
    this.#begun = now;
    this.#turnedAt = now;
  }

  record(milliseconds: number, now: number): void {
    this.#turn(now);
    if (now - this.#begun < WARM_UP_MS) {
      this.#warmUp.record(milliseconds * 1_000);
      return;
    }
    this.#all.record(milliseconds * 1_000);
    this.#current.record(milliseconds * 1_000);
  }

  /** Of the last 5 to 10 s; nothing in the first 4 s of a run. */
  recent(now: number): ShownPercentiles {
    this.#turn(now);
    return percentilesOf([this.#previous, this.#current]);
  }

  /** The percentiles of everything that any of them recorded after the first 4 s, or in them if the run was shorter. */
  static overall(latencies: Iterable<Latency>): ShownPercentiles {
    const all = [...latencies];
    const warm = percentilesOf(all.map((latency) => latency.#all));
    return warm.p50 === undefined ? percentilesOf(all.map((latency) => latency.#warmUp)) : warm;
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
