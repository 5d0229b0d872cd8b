import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { channelsOf, readingOf } from './subscription-plan.ts';

describe('channelsOf', () => {
  it('chooses all channels, or the first, or some', () => {
    const plan = { channels: 4, channelsPerClient: 2, seed: 1 };
    expect(channelsOf({ ...plan, mode: 'all' }, 9)).toEqual([0, 1, 2, 3]);
    expect(channelsOf({ ...plan, mode: 'single' }, 9)).toEqual([0]);
    expect(channelsOf({ ...plan, mode: 'random' }, 9)).toHaveLength(2);
  });

  it('chooses distinct channels that exist, the same ones each time', () => {
    const plan = fc.record({
      mode: fc.constant('random' as const),
      channels: fc.integer({ min: 1, max: 50 }),
      channelsPerClient: fc.integer({ min: 1, max: 60 }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(plan, fc.nat(100_000), (given, connection) => {
        const chosen = channelsOf(given, connection);
        expect(new Set(chosen).size).toBe(Math.min(given.channels, given.channelsPerClient));
        expect(chosen.every((number) => number >= 0 && number < given.channels)).toBe(true);
        expect(channelsOf(given, connection)).toEqual(chosen);
      }),
    );
  });

  it('spreads connections over all channels', () => {
    const counts = new Array<number>(5).fill(0);
    for (let connection = 0; connection < 5_000; connection += 1) {
      const plan = { mode: 'random', channels: 5, channelsPerClient: 1, seed: 7 } as const;
      for (const number of channelsOf(plan, connection)) counts[number]! += 1;
    }
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });
});

describe('readingOf', () => {
  it.each([
    [0, 0],
    [0.2, 0],
    [0, 0.2],
    [0.1, 0.3],
    [0.5, 0.5],
    [0, 1],
  ])('gives a share of %d to slow and of %d to stalled', (slow, stalled) => {
    const counts = { steady: 0, slow: 0, stalled: 0 };
    for (let i = 0; i < 1_000; i += 1) counts[readingOf({ slow, stalled }, i)] += 1;
    expect(Math.abs(counts.slow - 1_000 * slow)).toBeLessThanOrEqual(1);
    expect(Math.abs(counts.stalled - 1_000 * stalled)).toBeLessThanOrEqual(1);
  });
});
