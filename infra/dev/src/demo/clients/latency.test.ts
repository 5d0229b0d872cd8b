import { describe, expect, it } from 'vitest';
import { Latency } from './latency.ts';

/** After the warm-up. */
const WARM = 4_000;

describe('Latency', () => {
  it('knows percentiles to three digits', () => {
    const latency = new Latency(0);
    for (let value = 1; value <= 1_000; value++) latency.record(value / 10, WARM);
    const { p50, p99 } = latency.recent(WARM);
    expect(p50).toBeCloseTo(50, 0);
    expect(p99).toBeCloseTo(99, 0);
  });

  it('forgets what is older than the window, but not overall', () => {
    const latency = new Latency(0);
    latency.record(500, WARM);
    latency.record(1, 6_000);
    expect(latency.recent(6_000).p99).toBeCloseTo(500, 0);
    expect(latency.recent(10_000).p99).toBeCloseTo(1, 2);
    expect(latency.recent(60_000)).toEqual({ p50: undefined, p99: undefined });
    expect(Latency.overall([latency]).p99).toBeCloseTo(500, 0);
  });

  it('leaves out the first seconds, unless there is nothing else', () => {
    const latency = new Latency(0);
    latency.record(500, WARM - 1);
    expect(latency.recent(WARM).p99).toBeUndefined();
    expect(Latency.overall([latency]).p99).toBeCloseTo(500, 0);
    latency.record(1, WARM);
    expect(latency.recent(WARM).p99).toBeCloseTo(1, 2);
    expect(Latency.overall([latency]).p99).toBeCloseTo(1, 2);
  });

  it('sums up several', () => {
    const fast = new Latency(0);
    const slow = new Latency(0);
    fast.record(1, WARM);
    slow.record(9, WARM);
    expect(Latency.overall([fast, slow]).p50).toBeCloseTo(1, 2);
    expect(Latency.overall([fast, slow]).p99).toBeCloseTo(9, 1);
  });
});
