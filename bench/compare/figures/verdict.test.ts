import { describe, expect, it } from 'vitest';
import { summarizeRatios } from './ratio.ts';
import { AT_MOST_LARGER, AT_MOST_SLOWER, failuresOf, judge, judgeWhole } from './verdict.ts';

/** Ten pairs, whose interval begins at the second ratio: one more than `low`, which is the first. */
function tenFrom(low: number, step: number) {
  return summarizeRatios(Array.from({ length: 10 }, (_, i) => low + i * step));
}

describe('judge', () => {
  it('passes if the interval begins no higher than the bar', () => {
    const verdict = judge('p99', tenFrom(1.01, 0.01), AT_MOST_SLOWER);
    expect(verdict.failed).toBe(false);
    expect(verdict.line).toBe(
      'verdict  p99, at most 2 % slower: passed, the interval begins at 1.02, not above 1.02',
    );
  });

  it('fails if all of the interval is above it', () => {
    const verdict = judge('p99', tenFrom(1.011, 0.01), AT_MOST_SLOWER);
    expect(verdict.failed).toBe(true);
    expect(verdict.line).toContain('FAILED, the interval begins at 1.021, above 1.02');
    expect(judge('bytes', tenFrom(291, 10), AT_MOST_LARGER).failed).toBe(true);
    expect(judge('bytes', tenFrom(290, 10), AT_MOST_LARGER).failed).toBe(false);
  });

  it('decides nothing from fewer than six pairs, nor of a run without a value', () => {
    const five = judge('p99', summarizeRatios([2, 2, 2, 2, 2]), AT_MOST_SLOWER);
    expect(five.line).toContain('NOT TOLD, fewer than six pairs');
    expect(judge('p99', summarizeRatios([2, 2, 2, 2, 2, 2]), AT_MOST_SLOWER).failed).toBe(true);
    const holed = judge('p99', summarizeRatios([...Array(9).fill(1), Number.NaN]), AT_MOST_SLOWER);
    expect(holed.line).toContain('NOT TOLD, a run has no value');
    expect(failuresOf([five, holed])).toEqual([]);
  });
});

describe('judgeWhole', () => {
  it('fails if fewer of our runs are whole', () => {
    expect(judgeWhole(10, 10, 10).failed).toBe(false);
    expect(judgeWhole(10, 9, 10).failed).toBe(false);
    expect(failuresOf([judgeWhole(9, 10, 10)])).toEqual([
      'verdict  runs that are whole, no fewer: 9 and 10 of 10, FAILED',
    ]);
  });
});
