/** Latencies above this count as this, in µs: ten minutes. */
const MAX_MICROSECONDS = 600_000_000;

/** Counters of a range. A range ends at twice its beginning, so a counter covers at most 0.1 % of its values. */
const COUNTERS_A_RANGE = 1_024;

/** Below this each value, in µs, has a counter of its own. */
const EXACT_BELOW = 2 * COUNTERS_A_RANGE;

const BITS_OF_EXACT = Math.log2(EXACT_BELOW);

/** In ms, to three significant digits. */
export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** How many latencies these are of. */
  readonly samples: number;
}

/** The counters of a histogram that are not 0, as they travel between processes: each one's index, then its count. */
export type LatencyCounts = readonly number[];

/**
 * Latencies in µs, to three significant digits, in counters as HdrHistogram has them. `createHistogram` of `perf_hooks`
 * has the same ones and gives them to no other process, so the processes of a load could not be added up.
 */
export class LatencyHistogram {
  /** Doubles, since a load may run for days. */
  readonly #counters = new Float64Array(counterOf(MAX_MICROSECONDS) + 1);
  #samples = 0;

  /** Takes 1 µs for what is less, since the clocks of two processes may differ by a few µs. */
  record(microseconds: number): void {
    const value = Math.min(MAX_MICROSECONDS, Math.max(1, Math.round(microseconds)));
    this.#count(counterOf(value), 1);
  }

  /** Adds what another histogram holds, of this or of another process. */
  add(counts: LatencyCounts): void {
    for (let at = 0; at < counts.length; at += 2) {
      this.#count(counts[at] as number, counts[at + 1] as number);
    }
  }

  /** What it holds, for {@link add}. Empty when nothing was recorded. */
  counts(): LatencyCounts {
    const counts: number[] = [];
    for (const [counter, count] of this.#counters.entries()) {
      if (count > 0) counts.push(counter, count);
    }
    return counts;
  }

  reset(): void {
    this.#counters.fill(0);
    this.#samples = 0;
  }

  /** How many latencies are at most `microseconds`; those of the same counter count too. */
  countUpTo(microseconds: number): number {
    const most = counterOf(Math.min(MAX_MICROSECONDS, Math.floor(microseconds)));
    return this.#counters.subarray(0, most + 1).reduce((sum, count) => sum + count, 0);
  }

  /** Undefined when nothing was recorded. */
  percentiles(): Percentiles | undefined {
    if (this.#samples === 0) return undefined;
    return {
      p50: this.#milliseconds(0.5),
      p90: this.#milliseconds(0.9),
      p99: this.#milliseconds(0.99),
      p999: this.#milliseconds(0.999),
      max: this.#milliseconds(1),
      samples: this.#samples,
    };
  }

  #count(counter: number, count: number): void {
    this.#counters[counter] = (this.#counters[counter] as number) + count;
    this.#samples += count;
  }

  /** The latency that `share` of all do not exceed. */
  #milliseconds(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#samples));
    let seen = 0;
    const counter = this.#counters.findIndex((count) => {
      seen += count;
      return seen >= rank;
    });
    return largestOf(counter) / 1_000;
  }
}

/** The index of the counter of a value, in µs. */
function counterOf(value: number): number {
  if (value < EXACT_BELOW) return value;
  const halvings = 32 - Math.clz32(value) - BITS_OF_EXACT;
  return halvings * COUNTERS_A_RANGE + (value >> halvings);
}

/** The largest value that a counter counts, in µs. */
function largestOf(counter: number): number {
  if (counter < EXACT_BELOW) return counter;
  const halvings = Math.floor(counter / COUNTERS_A_RANGE) - 1;
  return ((counter - halvings * COUNTERS_A_RANGE + 1) << halvings) - 1;
}
