import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { isPlainJson } from './json-text.ts';

const isPlain = (text: string): boolean => isPlainJson(Buffer.from(text));

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What JSON is made of, and what looks like it. */
const PIECE = fc.constantFrom(
  ...'{}[],:"0123456789.-+eE \t\n\r\\/bfnrtu'.split(''),
  ...[
    '""',
    '"a"',
    '"a":',
    '1',
    '-0',
    '1.5e-7',
    'true',
    'false',
    'null',
    '[]',
    '{}',
    '\\u00',
    '\u0000',
    'é',
    '\u007f',
  ],
);

describe('isPlainJson', () => {
  it('never takes for JSON what JSON.parse refuses', () => {
    fc.assert(
      fc.property(fc.array(PIECE, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        expect(isPlain(text) && !isJson(text), text).toBe(false);
      }),
      cases(50_000),
    );
  });

  it('knows whatever JSON.stringify writes in ASCII, on one line or many, and none of it with a byte changed for the worse', () => {
    const value = fc.jsonValue({ stringUnit: 'grapheme-ascii', maxDepth: 5 });
    fc.assert(
      fc.property(value, fc.nat(3), fc.nat(), PIECE, (json, indent, place, piece) => {
        const text = JSON.stringify(json, undefined, indent);
        expect(isPlain(text), text).toBe(true);
        const at = place % (text.length + 1);
        const changed = text.slice(0, at) + piece + text.slice(at + 1);
        expect(isPlain(changed) && !isJson(changed), changed).toBe(false);
        const cut = text.slice(0, at);
        expect(isPlain(cut) && !isJson(cut), cut).toBe(false);
      }),
      cases(3_000),
    );
  });

  it.each(['"\\u12fF\\"\\\\\\/\\b\\f\\n\\r\\t"', ' [ ] ', '{ "a" : [ 1 , -0.5E+3 ] }', '0', '-0'])(
    'knows %s',
    (text) => {
      expect(isJson(text)).toBe(true);
      expect(isPlain(text)).toBe(true);
    },
  );

  it.each([
    '"\\u12g4"',
    '"\\x41"',
    '"\t"',
    '01',
    '1.',
    '.5',
    '-',
    '1e',
    '[1,]',
    '{"a":1,}',
    '{"a"}',
    '[1}',
    '',
    ' ',
    '1 2',
    '"',
    '[',
    'nul',
    'tru',
  ])('refuses %j, as JSON.parse does', (text) => {
    expect(isJson(text)).toBe(false);
    expect(isPlain(text)).toBe(false);
  });

  it('leaves what is not ASCII, or nested deeper than it can count, to others', () => {
    expect(isPlain('"é"')).toBe(false);
    expect(isPlain(nested(30))).toBe(true);
    expect(isPlain(nested(31))).toBe(false);
    expect(isPlain(nested(100_000))).toBe(false);
  });
});

function nested(depth: number): string {
  return '[{"a":'.repeat(depth / 2) + (depth % 2 === 0 ? '1' : '[]') + '}]'.repeat(depth / 2);
}
