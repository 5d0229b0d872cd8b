import { expect, it } from 'vitest';
import { Largest } from './largest.ts';

it('keeps the largest of many, the largest first', () => {
  const largest = new Largest<number>(3, (item) => item);
  for (let i = 0; i < 1_000; i += 1) largest.add((i * 7_919) % 1_000);
  expect(largest.all).toEqual([999, 998, 997]);
});
