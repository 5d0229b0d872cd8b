import { describe, expect, it } from 'vitest';
import { hasStruckOut, lagsTooLong, type Pace, SLOW_STRIKES } from './slow-policy.ts';

const POLICY = { graceMs: 2_000, maxLagMs: 30_000 };
const NOW = 1_000_000;

function pace(change: Partial<Pace>): Pace {
  return { refusalsInARow: 0, firstRefusedAt: 0, ...change };
}

describe('hasStruckOut', () => {
  it.each([
    ['none', 0, 60_000, false],
    ['two, however far apart', SLOW_STRIKES - 1, 60_000, false],
    ['three at once: that is one burst', SLOW_STRIKES, 0, false],
    ['three, 1 ms within the grace', SLOW_STRIKES, 1_999, false],
    ['three, exactly at the grace', SLOW_STRIKES, 2_000, true],
    ['many within the grace', 10_000, 1_999, false],
    ['many, past the grace', 10_000, 2_001, true],
  ])('judges refusals in a row: %s', (_what, refusalsInARow, sinceFirst, slow) => {
    const firstRefusedAt = NOW - sinceFirst;
    expect(hasStruckOut(pace({ refusalsInARow, firstRefusedAt }), POLICY, NOW)).toBe(slow);
  });
});

describe('lagsTooLong', () => {
  it.each([
    ['nothing waits', Number.NaN, false],
    ['since 1 ms less than allowed', NOW - 29_999, false],
    ['since exactly as long as allowed', NOW - 30_000, true],
    ['since time 0 of the clock', 0, true],
  ])('%s: %s', (_what, behindSince, late) => {
    expect(lagsTooLong(behindSince, POLICY, NOW)).toBe(late);
  });
});
