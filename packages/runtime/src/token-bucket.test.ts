import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dividedRate, narrowedRate, TokenBucket } from './token-bucket.ts';

describe('TokenBucket', () => {
  it('allows a burst, then the rate', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 1_000);
    expect([1, 2, 3, 4].map(() => bucket.take(1_000))).toEqual([true, true, true, false]);
    expect(bucket.take(1_099)).toBe(false);
    expect(bucket.take(1_101)).toBe(true);
    expect(bucket.take(1_102)).toBe(false);
  });

  it('saves up no more than the burst', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 2 }, 0);
    const anHour = 3_600_000;
    expect([1, 2, 3].map(() => bucket.take(anHour))).toEqual([true, true, false]);
  });

  it('says how long to wait, and then there is a token', () => {
    const bucket = new TokenBucket({ perSecond: 3, burst: 1 }, 0);
    expect(bucket.waitMs()).toBe(0);
    bucket.take(0);
    expect(bucket.waitMs()).toBe(334);
    expect(bucket.take(334)).toBe(true);
  });

  it('takes all or nothing, and allows 0', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, 0);
    expect(bucket.take(0, 15)).toBe(true);
    expect(bucket.take(0, 6)).toBe(false);
    expect(bucket.waitMs(6)).toBe(100);
    expect(bucket.take(0, 5)).toBe(true);
    expect(bucket.take(0, 0)).toBe(true);
  });

  it('lets nothing pass until what it was charged is earned', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 20 }, 0);
    bucket.charge(0, 50);
    expect([bucket.take(0, 0), bucket.waitMs(0), bucket.waitMs(5)]).toEqual([false, 3_000, 3_500]);
    expect([bucket.take(2_999, 0), bucket.take(3_000, 0)]).toEqual([false, true]);
    bucket.charge(3_000, -100);
    expect([bucket.take(3_000, 21), bucket.take(3_000, 20)]).toEqual([false, true]);
  });

  it('keeps what it has when its rate changes, up to the new burst', () => {
    const wide = { perSecond: 10, burst: 20 };
    const bucket = new TokenBucket(wide, 0);
    bucket.take(0, 15);
    bucket.changeRate(0, { perSecond: 1, burst: 2 });
    expect([bucket.take(0, 3), bucket.take(0, 2), bucket.take(999)]).toEqual([false, true, false]);
    bucket.changeRate(1_000, wide);
    expect([bucket.take(1_000, 2), bucket.take(1_000), bucket.take(1_100)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('never allows more than the burst and the rate over any stretch of time', () => {
    const rates = fc.record({
      perSecond: fc.integer({ min: 1, max: 1_000 }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    const pauses = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 });
    fc.assert(
      fc.property(rates, pauses, (rate, pausesMs) => {
        const bucket = new TokenBucket(rate, 0);
        const takenAt: number[] = [];
        let now = 0;
        for (const pauseMs of pausesMs) {
          now += pauseMs;
          if (bucket.take(now)) takenAt.push(now);
        }
        takenAt.forEach((from, i) => {
          takenAt.slice(i).forEach((to, further) => {
            const most = rate.burst + ((to - from) / 1_000) * rate.perSecond;
            expect(further + 1).toBeLessThanOrEqual(most + 1e-6);
          });
        });
      }),
    );
  });
});

describe('dividedRate', () => {
  it('rounds up, so that nobody gets nothing', () => {
    expect(dividedRate({ perSecond: 10, burst: 21 }, 3)).toEqual({ perSecond: 4, burst: 7 });
    expect(dividedRate({ perSecond: 1, burst: 1 }, 64)).toEqual({ perSecond: 1, burst: 1 });
  });
});

describe('narrowedRate', () => {
  const rate = { perSecond: 50, burst: 200 };

  it('makes the burst smaller in the same proportion', () => {
    expect(narrowedRate(rate, 5)).toEqual({ perSecond: 5, burst: 20 });
    expect(narrowedRate({ perSecond: 50, burst: 10 }, 1)).toEqual({ perSecond: 1, burst: 1 });
  });

  it('is never wider', () => {
    for (const perSecond of [50, 51, Number.POSITIVE_INFINITY]) {
      expect(narrowedRate(rate, perSecond)).toEqual(rate);
    }
  });
});
