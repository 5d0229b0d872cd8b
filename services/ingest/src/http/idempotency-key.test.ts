import { HttpError } from '@tradewind/runtime';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import {
  isIdempotencyKey,
  keyOfHeaders,
  keyOfParts,
  refuseKeyHeader,
  sourceOfHeaders,
} from './idempotency-key.ts';

describe('isIdempotencyKey', () => {
  it.each(['a', '8e03978e-40d5-43dd-bc93-6894a57f9324', '!#[]~:/@', 'x'.repeat(128)])(
    'takes %s',
    (key) => expect(isIdempotencyKey(key)).toBe(true),
  );

  it.each(['', 'a b', 'a"b', 'a\\b', 'é', 'a\n', 'x'.repeat(129), 7, null, undefined])(
    'does not take %j',
    (key) => expect(isIdempotencyKey(key)).toBe(false),
  );
});

describe('keyOfHeaders', () => {
  it.each([
    ['abc', 'abc'],
    ['"abc"', 'abc'],
    [undefined, undefined],
  ])('%s: %s', (header, key) => {
    expect(keyOfHeaders({ 'idempotency-key': header })).toBe(key);
  });

  it.each(['', '""', '"a', 'a, b', 'x'.repeat(129)])('refuses %j', (header) => {
    expect(codeOf(() => keyOfHeaders({ 'idempotency-key': header }))).toBe('bad_idempotency_key');
  });
});

describe('refuseKeyHeader', () => {
  it('does not let a caller believe in a protection that is not there', () => {
    expect(codeOf(() => refuseKeyHeader({ 'idempotency-key': 'a' }))).toBe('bad_idempotency_key');
    expect(codeOf(() => refuseKeyHeader({}))).toBeUndefined();
  });
});

describe('sourceOfHeaders', () => {
  it('is what the header says, or http', () => {
    expect(sourceOfHeaders({ 'idempotency-source': 'kraken' })).toBe('kraken');
    expect(sourceOfHeaders({})).toBe('http');
    expect(codeOf(() => sourceOfHeaders({ 'idempotency-source': 'a b' }))).toBe(
      'bad_idempotency_key',
    );
  });
});

describe('keyOfParts', () => {
  it('joins them, and always makes a key', () => {
    expect(keyOfParts('kraken', '77')).toBe('kraken:77');
    for (const parts of [['Zürich', '1'], ['x'.repeat(200)], ['a b', '1'], ['a', '"']]) {
      const key = keyOfParts(...parts);
      expect(isIdempotencyKey(key)).toBe(true);
      expect(key).toMatch(/^sha256:/);
      expect(keyOfParts(...parts)).toBe(key);
      expect(keyOfParts(...parts, '')).not.toBe(key);
    }
  });

  it.each([
    [
      ['a:b', 'c'],
      ['a', 'b:c'],
    ],
    [
      ['run', 'kraken', '7'],
      ['run', 'kraken:7'],
    ],
    [['kraken', '7'], ['kraken:7']],
  ])('makes different keys of %j and %j', (some, others) => {
    expect(keyOfParts(...some)).not.toBe(keyOfParts(...others));
  });

  it('does not pass parts off as the hash of others', () => {
    const [name = '', hash = ''] = keyOfParts('a:b', 'c').split(':');
    expect(keyOfParts(name, hash)).not.toBe(`${name}:${hash}`);
  });

  it('makes the same key of no other parts', () => {
    const part = fc.string({ unit: fc.constantFrom('a', ':'), maxLength: 2 });
    const parts = fc.array(part, { maxLength: 3 });
    fc.assert(
      fc.property(parts, parts, (some, others) => {
        const same = JSON.stringify(some) === JSON.stringify(others);
        expect(keyOfParts(...some) === keyOfParts(...others)).toBe(same);
      }),
      cases(5_000),
    );
  });

  it('makes a key of any parts', () => {
    const part = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ minLength: 60 }));
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        expect(isIdempotencyKey(keyOfParts(...parts))).toBe(true);
      }),
    );
  });
});

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof HttpError) return error.details.code;
    throw error;
  }
  return undefined;
}
