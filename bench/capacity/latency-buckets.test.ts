import { LatencyHistogram } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { latencyBuckets } from './latency-buckets.ts';

it('counts latencies in steps of 1, 2 and 5, empty ones between included', () => {
  const histogram = new LatencyHistogram();
  for (const ms of [0.9, 1, 1.5, 9, 10]) histogram.record(ms * 1_000);
  expect(latencyBuckets(histogram)).toEqual([
    { upToMs: 1, count: 2 },
    { upToMs: 2, count: 1 },
    { upToMs: 5, count: 0 },
    { upToMs: 10, count: 2 },
  ]);
});

it('has a bucket for everything that can be recorded, and none for nothing', () => {
  const histogram = new LatencyHistogram();
  expect(latencyBuckets(histogram)).toEqual([]);
  histogram.record(0);
  histogram.record(Number.MAX_SAFE_INTEGER);
  const total = latencyBuckets(histogram).reduce((sum, { count }) => sum + count, 0);
  expect(total).toBe(2);
});
