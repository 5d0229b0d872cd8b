import { describe, expect, it } from 'vitest';
import { channelOfPath, type RawPayload, rawItem } from './raw-payload.ts';

describe('channelOfPath', () => {
  it.each([
    ['BTC.trade', 'BTC.trade'],
    ['BTC%2FUSD.trade', 'BTC/USD.trade'],
    ['BTC/USD.trade', 'BTC/USD.trade'],
    ['%20', ' '],
  ])('%s: %s', (encoded, channel) => {
    expect(channelOfPath(encoded)).toBe(channel);
  });

  it.each(['%', '%zz', '%ff'])('refuses %s', (encoded) => {
    expect(() => channelOfPath(encoded)).toThrow(/percent-encoded/);
  });
});

describe('rawItem', () => {
  it.each(['{"a": 1.10}', 'plain text', '@home', '\ufeffx', '\0'])('takes %j as it is', (text) => {
    const body = Buffer.from(text);
    const item = rawItem('c', payload(body), 64);
    expect(item.ok && item.publication.payload).toBe(body);
  });

  it('keeps the key that it comes with', () => {
    const item = rawItem('c', payload(Buffer.from('x')), 64, 'k');
    expect(item.ok && item.publication.idempotencyKey).toBe('k');
  });

  it.each([
    ['bad_payload', 'c', Buffer.alloc(0)],
    ['bad_payload', 'c', Buffer.from([0xc3])],
    ['bad_payload', 'c', Buffer.from('@1:k3x9:4:1795416898073;{}')],
    ['bad_payload', 'c', Buffer.from('@27:')],
    ['bad_channel', '!', Buffer.from('x')],
    ['reserved_channel', 'tw:x', Buffer.from('x')],
    ['publication_too_large', 'c', Buffer.alloc(65, 'x')],
    ['publication_too_large', 'c', Buffer.alloc(32, '"')],
    ['publication_too_large', 'c', Buffer.alloc(11, 1)],
  ])('refuses with %s', (code, channel, body) => {
    const item = rawItem(channel, payload(body), 64);
    expect(!item.ok && item.error.code).toBe(code);
  });

  it('takes what edges deliver to the byte: a text as a JSON string', () => {
    expect(rawItem('c', payload(Buffer.alloc(31, '"')), 64).ok).toBe(true);
    expect(rawItem('c', payload(Buffer.alloc(62, 'x')), 64).ok).toBe(true);
    expect(rawItem('c', payload(Buffer.alloc(63, 'x')), 64).ok).toBe(false);
    expect(rawItem('c', payload(Buffer.from(`"${'x'.repeat(62)}"`)), 64).ok).toBe(true);
  });

  it.each(['{"price": NaN}', '\ufeff{"price":"1"}', '{"price":"1"', "{'a':1}", 'NaN'])(
    'refuses %j that is said to be JSON, and tells of it as text otherwise',
    (text) => {
      const body = Buffer.from(text);
      let texts = 0;
      const isText = (): void => {
        texts += 1;
      };
      const refused = rawItem('c', { body, isJson: true, isText }, 64);
      expect(!refused.ok && refused.error.code).toBe('bad_json');
      expect(texts).toBe(0);
      expect(rawItem('c', { body, isJson: false, isText }, 64).ok).toBe(true);
      expect(texts).toBe(1);
    },
  );
});

function payload(body: Uint8Array): RawPayload {
  return { body, isJson: false, isText: () => undefined };
}
