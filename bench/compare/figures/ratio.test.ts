import { describe, expect, it } from 'vitest';
import { median, summarizeRatios } from './ratio.ts';

describe('median', () => {
  it('is the middle value, or the mean of the middle two', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
  });
});

describe('summarizeRatios', () => {
  it('uses the ranks that tables of the sign test give for 15 pairs: the 4th and the 12th', () => {
    const ratios = Array.from({ length: 15 }, (_, i) => 15 - i);
    expect(summarizeRatios(ratios)).toEqual({
      median: 8,
      low: 4,
      high: 12,
      confidence: expect.closeTo(0.9648, 4),
    });
  });

  it('is NaN if one of the ratios is not a number', () => {
    expect(summarizeRatios([1, Number.NaN, 2, 3, 4, 5, 6])).toMatchObject({
      median: Number.NaN,
      low: Number.NaN,
      high: Number.NaN,
    });
  });

  it('uses the outermost ratios if there are few, and gives their low confidence', () => {
    expect(summarizeRatios([1.2, 1.0, 1.1])).toMatchObject({
      low: 1.0,
      high: 1.2,
      confidence: 0.75,
    });
    expect(summarizeRatios([1.5])).toMatchObject({
      median: 1.5,
      low: 1.5,
      high: 1.5,
      confidence: 0,
    });
  });
});
