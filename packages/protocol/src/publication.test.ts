import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { checkPayload, encodeLatestBody, encodePublicationBody, payloadIn } from './publication.ts';
import type { PublicationMessage } from './server-message.ts';

const TS = 1_795_416_898_073;

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** The frame that a client parses. */
function frameOf(body: Uint8Array): PublicationMessage {
  return JSON.parse(`{"seq":1${textOf(body)}`) as PublicationMessage;
}

describe('checkPayload', () => {
  it.each([
    ['an object', '{"price":"64123.5","side":"buy"}'],
    ['a number with a digit that printing would drop', '1.10'],
    ['2^63, which a double cannot hold', '9223372036854775808'],
    ['a number too large for a double', '1e999'],
    ['keys in an order that printing would change', '{"b":1,"2":2,"1":3}'],
    ['a key that occurs twice', '{"a":1,"a":2}'],
    ['a key that names the prototype', '{"__proto__":{"a":1}}'],
    ['a scalar', 'null'],
    ['half an emoji, escaped', '"\\ud83d"'],
    ['line separators', '"\u2028\u2029"'],
    ['white space around and within', '\r\n { "a" :\t1 }\n'],
    ['100,000 levels', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('passes JSON through as it is: %s', (_what, text) => {
    const bytes = bytesOf(text);
    expect(checkPayload(bytes)).toEqual({ kind: 'json', json: bytes });
    expect(bytes).toEqual(bytesOf(text));
  });

  it.each([
    ['nothing', ''],
    ['white space', ' \n\t'],
    ['a word', 'BUY'],
    ['a quote', '"'],
    ['a byte order mark before JSON', '\ufeff{"a":1}'],
    ['NaN', 'NaN'],
    ['single quotes', "{'a':1}"],
    ['control characters', '\0\x1b[31m\x7f'],
    ['100,000 levels that nobody closes', '['.repeat(100_000)],
    ['a way out of the envelope', '1,"type":"reconnect"'],
    ['another way out', '1},{"seq":2'],
    ['two values', '{"a":1}\n{"a":2}'],
    ['an emoji', '😀'],
  ])('makes text that is not JSON a JSON string: %.40s', (_what, text) => {
    const payload = checkPayload(bytesOf(text));
    expect(payload.kind).toBe('text');
    expect(payload.kind === 'text' && JSON.parse(textOf(payload.json))).toBe(text);
  });

  it.each([
    ['a continuation byte alone', [0x80]],
    ['a continuation byte inside JSON', [0x22, 0xbf, 0x22]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['an overlong quote that would end a string', [0x22, 0xc0, 0xa2, 0x22]],
    ['an overlong NUL', [0xc0, 0x80]],
    ['an overlong sequence of three bytes', [0xe0, 0x80, 0xaf]],
    ['a character that is cut off', [0x22, 0xe2, 0x82]],
    ['half a surrogate pair', [0xed, 0xa0, 0xbd]],
    ['beyond the last code point', [0xf4, 0x90, 0x80, 0x80]],
    ['a byte that is never UTF-8', [0xff]],
    ['UTF-16', [0xff, 0xfe, 0x31, 0x00]],
  ])('calls bytes that are not UTF-8 unreadable: %s', (_what, bytes) => {
    expect(checkPayload(Uint8Array.from(bytes))).toEqual({ kind: 'unreadable' });
  });

  it('lets nothing reach outside the data, whatever is published', () => {
    const fragment = fc.constantFrom(
      ...['{', '}', '[', ']', ',', ':', '"', '\\', '\n', '\u2028', '\ufeff', ' '],
      ...['1', '-', 'e5', 'null', '"a"', '"type"', '"seq"', ',"type":"reconnect"', '😀'],
    );
    const payload = fc.oneof(
      fc.array(fragment).map((fragments) => bytesOf(fragments.join(''))),
      fc.string({ unit: 'binary' }).map(bytesOf),
      fc.uint8Array(),
      fc.json().map(bytesOf),
    );
    fc.assert(
      fc.property(payload, (bytes) => {
        const checked = checkPayload(bytes);
        if (checked.kind === 'unreadable') return;
        const frame = frameOf(encodePublicationBody('BTC.trade', 7, TS, checked.json));
        expect(Object.keys(frame)).toEqual(['seq', 'channel', 'offset', 'ts', 'data']);
        expect(frame).toMatchObject({ seq: 1, channel: 'BTC.trade', offset: 7, ts: TS });
        if (checked.kind === 'text') expect(frame.data).toBe(textOf(bytes));
        else expect(checked.json).toEqual(bytes);
      }),
      cases(2_000),
    );
  });
});

describe('encodePublicationBody', () => {
  it('puts the parts in the order of the contract', () => {
    const json = bytesOf('{"price":"1.10"}');
    expect(textOf(encodePublicationBody('ETH.trade', 132, TS, json))).toBe(
      `,"channel":"ETH.trade","offset":132,"ts":${TS},"data":{"price":"1.10"}}`,
    );
  });

  it('has no offset when there is none, and tells 0 from none', () => {
    const json = bytesOf('1');
    expect(frameOf(encodePublicationBody('a', undefined, TS, json))).toEqual({
      seq: 1,
      channel: 'a',
      ts: TS,
      data: 1,
    });
    expect(frameOf(encodePublicationBody('a', 0, TS, json)).offset).toBe(0);
  });

  it('says all that went in, and the bytes of the data exactly', () => {
    const offset = fc.oneof(
      fc.constant(undefined),
      fc.maxSafeNat(),
      fc.integer({ min: 2 ** 53 - 4, max: 2 ** 53 - 1 }),
    );
    const json = fc
      .tuple(fc.jsonValue(), fc.constantFrom('', ' ', '\t'))
      .map(([value, indent]) => JSON.stringify(value, null, indent));
    const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$/);
    fc.assert(
      fc.property(name, offset, fc.nat(), json, (channel, at, ts, data) => {
        const body = encodePublicationBody(channel, at, ts, bytesOf(data));
        expect(frameOf(body)).toEqual({
          seq: 1,
          channel,
          ...(at === undefined ? {} : { offset: at }),
          ts,
          data: JSON.parse(data),
        });
        expect(textOf(body).endsWith(`,"data":${data}}`)).toBe(true);
        expect(textOf(payloadIn(body, channel, at, ts))).toBe(data);
      }),
      cases(1_000),
    );
  });

  it('copies the payload, so the buffer that Redis filled may be reused', () => {
    const json = bytesOf('"first"');
    const body = encodePublicationBody('a', undefined, TS, json);
    json.fill(0x21);
    expect(frameOf(body).data).toBe('first');
  });
});

describe('encodeLatestBody', () => {
  it.each([undefined, 132])(
    'adds how many were skipped, and keeps the payload: offset %s',
    (offset) => {
      const json = bytesOf('{"price": 1.10}');
      const body = encodePublicationBody('BTC.trade', offset, TS, json);
      const made = encodeLatestBody(body, 'BTC.trade', offset, TS, 124);
      expect(frameOf(made)).toEqual({ ...frameOf(body), skipped: 124 });
      expect(textOf(made).endsWith(',"skipped":124,"data":{"price": 1.10}}')).toBe(true);
      expect(frameOf(body)).not.toHaveProperty('skipped');
    },
  );
});
