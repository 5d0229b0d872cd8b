import { expect, it } from 'vitest';
import { type TrafficSample, usedShare, worstWindow } from './cost-oracle.ts';

const ALLOWANCE = { burstBytes: 1_000, bytesPerSecond: 10, bytesPerByte: 100 };

/** One sample a second: the bytes that arrived and left in it. */
function samplesOf(seconds: readonly (readonly [number, number])[]): TrafficSample[] {
  const samples: TrafficSample[] = [{ atMs: 0, inBytes: 0, outBytes: 0 }];
  for (const [i, [inBytes, outBytes]] of seconds.entries()) {
    const before = samples[i]!;
    samples.push({
      atMs: (i + 1) * 1_000,
      inBytes: before.inBytes + inBytes,
      outBytes: before.outBytes + outBytes,
    });
  }
  return samples;
}

const repeated = <T>(count: number, each: T): T[] => Array.from({ length: count }, () => each);

it('allows the burst, the share of the elapsed time and the cost of each byte', () => {
  const window = worstWindow(samplesOf([[5, 1_510]]), ALLOWANCE, 0);
  expect(window).toMatchObject({ inBytes: 5, outBytes: 1_510, allowedBytes: 1_510 });
  expect(usedShare(window!)).toBe(1);
});

it('finds a burst that repeats within ten seconds', () => {
  const samples = samplesOf([[0, 1_000], ...repeated(8, [0, 0] as const), [0, 1_000]]);
  expect(worstWindow(samples, ALLOWANCE, 0)).toMatchObject({
    outBytes: 2_000,
    allowedBytes: 1_100,
  });
});

it('finds the sum of a trickle, anywhere in a long run', () => {
  const quiet = repeated(30, [1, 100] as const);
  const samples = samplesOf([...quiet, ...repeated(10, [1, 300] as const), ...quiet]);
  const worst = worstWindow(samples, ALLOWANCE, 0)!;
  expect(worst).toMatchObject({ fromMs: 30_000, toMs: 40_000, outBytes: 3_000 });
  expect(worst.allowedBytes).toBe(2_100);
});

it('counts requests from before the window whose answers may lie in it', () => {
  const samples = samplesOf([[50, 0], ...repeated(11, [0, 0] as const), [0, 6_000]]);
  expect(usedShare(worstWindow(samples, ALLOWANCE, 0)!)).toBeGreaterThan(5);
  expect(usedShare(worstWindow(samples, ALLOWANCE, 4_000)!)).toBeLessThan(1);
});
