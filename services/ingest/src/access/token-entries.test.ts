import { describe, expect, it } from 'vitest';
import { MAX_TOKEN_FILE_BYTES, readTokenEntries } from './token-entries.ts';

const HASH = 'ab'.repeat(32);
const ENTRY = {
  name: 'pricing',
  hash: `sha256:${HASH}`,
  channels: ['BTC.*'],
  rights: ['publish'],
};

const read = (...tokens: readonly unknown[]) => readText(JSON.stringify({ tokens }));
const readText = (text: string) => readTokenEntries(Buffer.from(text));

describe('readTokenEntries', () => {
  it('reads entries with and without rates', () => {
    const [first, second] = read(ENTRY, {
      ...ENTRY,
      name: 'login',
      hash: `sha256:${'cd'.repeat(32)}`,
      channels: [],
      rights: ['revoke', 'publish'],
      publicationsPerSecond: 5,
      bytesPerSecond: 1_000,
    });
    expect(first).toEqual({ ...ENTRY, hash: HASH, rates: {} });
    expect(second).toMatchObject({
      channels: [],
      rates: { publicationsPerSecond: 5, bytesPerSecond: 1_000 },
    });
  });

  it.each([
    ['', 'must be JSON'],
    ['\xff', 'must be JSON'],
    ['[]', 'field `tokens`'],
    ['{"tokens":{}}', 'field `tokens`'],
    ['{"tokens":[],"more":1}', 'field `tokens`'],
    ['{"tokens":[]}', '1 to 1000 entries'],
    ['{"tokens":[null]}', 'entry 1: must be an object'],
  ])('refuses the file %j', (text, mistake) => {
    expect(() => readTokenEntries(Buffer.from(text, 'latin1'))).toThrow(mistake);
  });

  it.each([
    [{ name: 'a b' }, '`name`'],
    [{ name: 'INGEST_TOKENS:1' }, '`name`'],
    [{ name: '' }, '`name`'],
    [{ hash: HASH }, '`hash`'],
    [{ hash: `sha256:${HASH.toUpperCase()}` }, '`hash`'],
    [{ hash: undefined }, '`hash`'],
    [{ channels: 'BTC.*' }, '`channels`'],
    [{ channels: ['BTC trade'] }, '`channels`'],
    [{ channels: Array.from({ length: 65 }, () => 'a') }, '`channels`'],
    [{ rights: ['delete'] }, '`rights`'],
    [{ rights: [] }, '`rights`'],
    [{ publicationsPerSecond: 0 }, '`publicationsPerSecond`'],
    [{ publicationsPerSecond: 1.5 }, '`publicationsPerSecond`'],
    [{ bytesPerSecond: '1000' }, '`bytesPerSecond`'],
    [{ channel: ['BTC.*'] }, '"channel" must be one of'],
  ])('refuses an entry with %j', (change, mistake) => {
    expect(() => read({ ...ENTRY, ...change })).toThrow(`entry 1: ${mistake}`);
  });

  it('refuses two entries of one name or one token', () => {
    const other = { ...ENTRY, hash: `sha256:${'cd'.repeat(32)}` };
    expect(() => read(ENTRY, other)).toThrow('entry 2 has the name of another entry');
    expect(() => read(ENTRY, { ...ENTRY, name: 'x' })).toThrow('entry 2 has the hash of another');
  });

  it('bounds the file and its entries', () => {
    expect(() => readTokenEntries(Buffer.alloc(MAX_TOKEN_FILE_BYTES + 1))).toThrow('at most');
    expect(() => read(...Array.from({ length: 1_001 }, () => ENTRY))).toThrow('1 to 1000');
  });

  it('repeats no hash, whatever is wrong', () => {
    const wrong = { ...ENTRY, hash: `sha256:${HASH}0`, name: 'a' };
    for (const file of [JSON.stringify({ tokens: [wrong] }), `{"hash":"${HASH}"`]) {
      expect(() => readText(file)).toThrow(expect.not.objectContaining({ message: /abab/ }));
    }
  });
});
