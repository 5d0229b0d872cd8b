import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import type { HistoryEntry } from '../sequence/message.ts';
import { encodePublication, maxBodyBytes } from './encode-publication.ts';

const LIMIT = 100;
const NOW = 1_795_416_898_073;

describe('encodePublication', () => {
  it.each([
    ['{"price":"64123.50","n":1.10}', '{"price":"64123.50","n":1.10}'],
    [' [1e400, 0.10] ', ' [1e400, 0.10] '],
    ['null', 'null'],
    ['plain text', '"plain text"'],
    ['', '""'],
    ['@hello', '"@hello"'],
    ['@', '"@"'],
    ['@1', '"@1"'],
    ['@12345678901:', '"@12345678901:"'],
    ['say "hi"}\n', '"say \\"hi\\"}\\n"'],
    ['"},"seq":9', '"\\"},\\"seq\\":9"'],
  ])('encodes %j as %s', (payload, data) => {
    expect(frameOf(payload)).toBe(`{"seq":1,"channel":"a","ts":${NOW},"data":${data}}`);
  });

  it.each([
    ['more than the limit', Buffer.alloc(LIMIT + 1, '1'), 'too_large'],
    ['a text that is more than the limit once it is quoted', 'x'.repeat(LIMIT - 1), 'too_large'],
    ['a text that is more than the limit once it is escaped', '"'.repeat(LIMIT / 2), 'too_large'],
    ['what is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'unreadable'],
    ['a character cut in two', Buffer.from('é').subarray(0, 1), 'unreadable'],
  ] as const)('drops %s', (_what, payload, reason) => {
    expect(encodePublication('a', plain(Buffer.from(payload)), LIMIT)).toEqual({
      ok: false,
      reason,
    });
  });

  it.each([
    ['JSON', '1'.repeat(LIMIT)],
    ['text', 'x'.repeat(LIMIT - 2)],
  ])('passes on %s that is exactly as large as the limit', (_what, payload) => {
    expect(encodePublication('a', plain(Buffer.from(payload)), LIMIT).ok).toBe(true);
  });

  it('keeps no part of the payload’s memory', () => {
    const payload = Buffer.from('{"price":1}');
    const frame = encodePublication('a', plain(payload), LIMIT);
    payload.fill('!');
    expect(frame.ok && textOf(frame.publication.body)).toContain('"data":{"price":1}}');
  });

  it('lets no payload out of the data that it is put in', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (payload) => {
        const encoded = encodePublication('a', plain(Buffer.from(payload)), 10_000);
        if (!encoded.ok) return;
        const frame = JSON.parse(`{"seq":1${textOf(encoded.publication.body)}`);
        expect(Object.keys(frame)).toEqual(['seq', 'channel', 'ts', 'data']);
        expect(frame).toMatchObject({ seq: 1, channel: 'a', ts: NOW });
      }),
      cases(2_000),
    );
  });

  it('never makes a larger body than it says', () => {
    const longestName = 'x'.repeat(128);
    const publishedAt = Number.MAX_SAFE_INTEGER;
    const message = { offset: publishedAt, publishedAt, payload: Buffer.alloc(LIMIT, '1') };
    const encoded = encodePublication(longestName, message, LIMIT);
    expect(encoded.ok && encoded.publication.body.length).toBeLessThanOrEqual(maxBodyBytes(LIMIT));
  });
});

function frameOf(payload: string): string {
  const encoded = encodePublication('a', plain(Buffer.from(payload)), LIMIT);
  if (!encoded.ok) throw new Error(encoded.reason);
  expect(encoded.publication).toMatchObject({ channel: 'a', publishedAt: NOW });
  return `{"seq":1${textOf(encoded.publication.body)}`;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function plain(payload: Buffer): HistoryEntry {
  return { offset: 0, publishedAt: NOW, payload };
}
