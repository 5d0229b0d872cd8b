import { expect, it } from 'vitest';
import { bar, chart, spark } from './bars.ts';

it('draws a bar to an eighth of a column', () => {
  expect(bar(0, 10, 4)).toBe('');
  expect(bar(5, 10, 4)).toBe('██');
  expect(bar(10, 10, 4)).toBe('████');
  expect(bar(99, 10, 4)).toBe('████');
  expect(bar(1, 32, 4)).toBe('▏');
  expect(bar(1, 0, 4)).toBe('');
});

it('draws the last values of a line, the highest full', () => {
  expect(spark([9, 1, 4, 8], 3)).toBe('▁▄█');
  expect(spark([], 3)).toBe('');
  expect(spark([0, 0], 3)).toBe('▁▁');
});

it('draws values over several lines', () => {
  expect(chart([0, 4, 8, 16], 6, 2)).toEqual(['     █', '   ▄██']);
});
