import { describe, expect, it } from 'vitest';
import { isEpoch, isOffset } from './position.ts';

describe('isEpoch', () => {
  it.each(['0', 'k3x9', 'ABCDEFGHIJ123456'])('accepts %j', (value) => {
    expect(isEpoch(value)).toBe(true);
  });

  it.each(['', 'ABCDEFGHIJ1234567', 'k3x9\n', 'k-9', 'é', 7, null, undefined, ['k3x9']])(
    'refuses %j',
    (value) => {
      expect(isEpoch(value)).toBe(false);
    },
  );
});

describe('isOffset', () => {
  it.each([0, 1, 2 ** 53 - 1])('accepts %d', (value) => {
    expect(isOffset(value)).toBe(true);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n, null, undefined])(
    'refuses %s',
    (value) => {
      expect(isOffset(value)).toBe(false);
    },
  );
});
