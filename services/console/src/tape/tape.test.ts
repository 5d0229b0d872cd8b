import { expect, it } from 'vitest';
import { priceOf } from './tape.ts';

it.each([
  [{ price: 7.5 }, 7.5],
  [{ price: '64123.50' }, 64_123.5],
  [{ p: '0.1' }, 0.1],
  [{ price: 'high' }, undefined],
  [{ price: '' }, undefined],
  [{ price: null }, undefined],
  [[7], undefined],
  ['7', undefined],
  [null, undefined],
])('reads of %j the price %s', (data, price) => {
  expect(priceOf(data)).toBe(price);
});
