import type { LatencyHistogram } from '@tradewind/dev';

/** Latencies that lie between the bucket before and `upToMs`, which is included. */
export interface LatencyBucket {
  readonly upToMs: number;
  readonly count: number;
}

/** Each power of ten in three steps that people read easily. */
const STEPS = [1, 2, 5];

/** Upper bounds from 0.1 ms to the ten minutes that the histogram can hold. */
const BOUNDS_MS = [0.1, 1, 10, 100, 1_000, 10_000, 100_000]
  .flatMap((power) => STEPS.map((step) => Number((step * power).toPrecision(1))))
  .concat([1_000_000]);

/** How the latencies are distributed, from the first bucket that holds one to the last. */
export function latencyBuckets(histogram: LatencyHistogram): readonly LatencyBucket[] {
  const atMost = BOUNDS_MS.map((bound) => histogram.countUpTo(bound * 1_000));
  const buckets = BOUNDS_MS.map((upToMs, at) => ({
    upToMs,
    count: (atMost[at] as number) - (atMost[at - 1] ?? 0),
  }));
  const first = buckets.findIndex(({ count }) => count > 0);
  const last = buckets.findLastIndex(({ count }) => count > 0);
  return first === -1 ? [] : buckets.slice(first, last + 1);
}
