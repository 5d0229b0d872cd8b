import { describe, expect, it } from 'vitest';
import { channelOfPath, rawItem } from './raw-payload.ts';

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
    const item = rawItem('c', body, 64);
    expect(item.ok && item.publication.payload).toBe(body);
  });

  it('keeps the key that it comes with', () => {
    const item = rawItem('c', Buffer.from('x'), 64, 'k');
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
  ])('refuses with %s', (code, channel, body) => {
    const item = rawItem(channel, body, 64);
    expect(!item.ok && item.error.code).toBe(code);
  });
});
