import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram, type Percentiles } from './latency-histogram.ts';

const MAX_MICROSECONDS = 600_000_000;

function histogramOf(values: Iterable<number>): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

describe('LatencyHistogram', () => {
  it('knows percentiles in ms, as the sorted values have them, to 0.1 %', () => {
    const latency = fc.integer({ min: 1, max: MAX_MICROSECONDS });
    const small = fc.integer({ min: 1, max: 5_000 });
    fc.assert(
      fc.property(fc.array(fc.oneof(latency, small), { minLength: 1 }), (values) => {
        const sorted = values.toSorted((a, b) => a - b);
        const shares = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999, max: 1 };
        const percentiles = histogramOf(values).percentiles() as Percentiles;
        expect(percentiles.samples).toBe(values.length);
        for (const [name, share] of Object.entries(shares)) {
          const exact = (sorted[Math.ceil(share * sorted.length) - 1] as number) / 1_000;
          const found = percentiles[name as keyof Percentiles];
          expect(found).toBeGreaterThanOrEqual(exact);
          expect(found).toBeLessThan(exact * 1.001);
        }
      }),
    );
  });

  it('bounds what it is told', () => {
    const percentiles = histogramOf([-5, 0.2, 10 * MAX_MICROSECONDS]).percentiles();
    expect(percentiles).toMatchObject({ p50: 0.001 });
    expect(percentiles?.max).toBeCloseTo(MAX_MICROSECONDS / 1_000, -3);
  });

  it('has none of nothing, and of what was forgotten', () => {
    const histogram = histogramOf([7]);
    histogram.reset();
    expect(histogram.percentiles()).toBeUndefined();
    expect(histogram.counts()).toEqual([]);
  });

  it('adds up what came through JSON from another process', () => {
    const [fast, slow] = [histogramOf([1_000, 1_000]), histogramOf([9_000, 5_000_000])];
    slow.add(JSON.parse(JSON.stringify(fast.counts())));
    expect(slow.percentiles()).toEqual(histogramOf([1_000, 1_000, 9_000, 5_000_000]).percentiles());
  });
});
