import { expect, it } from 'vitest';
import { bytesText, countText, msText, shortText } from './number-text.ts';

it('writes numbers as people read them', () => {
  expect(countText(35_000.4)).toBe('35,000');
  expect(shortText(0.012345)).toBe('0.0123');
  expect(shortText(99.95)).toBe('100');
  expect(shortText(12_345)).toBe('12,345');
  expect(msText(4.25)).toBe('4.25 ms');
  expect(bytesText(512)).toBe('512 B');
  expect(bytesText(9 * 1024)).toBe('9 KiB');
  expect(bytesText(1.5 * 2 ** 30)).toBe('1.5 GiB');
});

it('writes a dash for an unknown number', () => {
  expect([
    countText(undefined),
    shortText(Number.NaN),
    msText(undefined),
    bytesText(undefined),
  ]).toEqual(['–', '–', '–', '–']);
});
