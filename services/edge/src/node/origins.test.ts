import { expect, it } from 'vitest';
import { MAX_ORIGIN_LENGTH, originOf } from './origins.ts';

it('keeps an origin as it is, and the beginning of one that is longer than any origin', () => {
  const origin = 'https://app.example';
  expect(originOf({ headers: { origin } })).toBe(origin);
  expect(originOf({ headers: {} })).toBeUndefined();
  const long = 'o'.repeat(16_000);
  expect(originOf({ headers: { origin: long } })).toBe('o'.repeat(MAX_ORIGIN_LENGTH));
});
