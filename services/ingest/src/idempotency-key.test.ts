import { HttpError } from '@tradewind/runtime';
import { describe, expect, it } from 'vitest';
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
