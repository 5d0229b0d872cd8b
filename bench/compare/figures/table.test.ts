import { describe, expect, it } from 'vitest';
import { formatNumber, formatRatio, formatShare, formatTable } from './table.ts';

describe('formatTable', () => {
  it('aligns the first column to the left and numbers to the right', () => {
    const rows = [
      ['edge', '4,100,000'],
      ['ws', '93'],
    ];
    expect(formatTable(['', 'rate'], rows).split('\n')).toEqual([
      '           rate',
      '----  ---------',
      'edge  4,100,000',
      'ws           93',
    ]);
  });
});

describe('numbers', () => {
  it('have three significant digits', () => {
    expect(formatNumber(4_123_456)).toBe('4,120,000');
    expect(formatNumber(17.34)).toBe('17.3');
    expect(formatNumber(Number.NaN)).toBe('-');
    expect(formatShare(0.984)).toBe('98 %');
  });

  it('show a ratio with its interval, unless there is only one pair', () => {
    const ratio = { median: 1.5, low: 1.4, high: 1.625, confidence: 0.9648 };
    expect(formatRatio('a / b', ratio)).toBe('a / b: 1.500 (1.400 to 1.625, 96.5 %)');
    expect(formatRatio('a / b', { ...ratio, confidence: 0 })).toContain('too few pairs');
  });
});
