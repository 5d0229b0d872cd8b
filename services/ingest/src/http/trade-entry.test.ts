import { describe, expect, it } from 'vitest';
import { itemOfText } from './batch.ts';
import { tradeEntry } from './trade-entry.ts';

const TRADE = {
  symbol: 'ETH',
  id: '1206419187',
  ts: 1_675_329_600_138,
  side: 'buy',
  price: '1666.80',
  size: '26.062',
};

describe('tradeEntry', () => {
  it('publishes the trade as it was written, on its symbol’s channel', () => {
    const text = ` {"symbol":"ETH", "id":12064191871206419187,"ts":1675329600138,
      "side":"sell","price":"1666.80","size":"0.10","venue":{"name":"x"}}`;
    expect(read(text)).toEqual({
      channel: 'ETH.trade',
      payload: text.trim(),
      bytes: text.trim().length,
      idempotencyKey: 'http:12064191871206419187',
    });
  });

  it.each([
    [{}, 'feed:1206419187'],
    [{ id: 7 }, 'feed:7'],
    [{ venue: 'kraken' }, 'kraken:1206419187'],
    [{ venue: 'kraken', source: 'archive' }, 'archive:1206419187'],
    [{ venue: { name: 'x' }, source: '' }, 'feed:1206419187'],
    [{ venue: 'Zürich' }, expect.stringMatching(/^sha256:/)],
  ])('is recognized by source and id: %j, %s', (change, key) => {
    const origin = { source: 'feed' };
    const item = itemOfText(JSON.stringify({ ...TRADE, ...change }), (source) =>
      tradeEntry(source, 1_000, origin),
    );
    expect(item.ok && item.publication.idempotencyKey).toEqual(key);
  });

  it('has a key of its own in each run', () => {
    const item = itemOfText(JSON.stringify(TRADE), (source) =>
      tradeEntry(source, 1_000, { source: 'file', run: 'r1' }),
    );
    expect(item.ok && item.publication.idempotencyKey).toBe('r1:file:1206419187');
  });

  it.each([
    { price: '-37.63' },
    { size: '0' },
    { id: 7 },
    { symbol: 'BTC-PERP' },
    { note: 'further fields are allowed' },
  ])('accepts %j', (change) => {
    expect(read(JSON.stringify({ ...TRADE, ...change }))).toHaveProperty('channel');
  });

  it.each([
    { symbol: '' },
    { symbol: 7 },
    { id: '' },
    { id: 1.5 },
    { id: null },
    { id: 'x'.repeat(129) },
    { ts: '1675329600138' },
    { ts: 1.5 },
    { ts: -1 },
    { side: 'BUY' },
    { price: 1666.8 },
    { price: '1e3' },
    { price: '1.' },
    { price: '.5' },
    { price: '01' },
    { price: ' 1' },
    { price: 'NaN' },
    { price: '1'.repeat(65) },
    { size: '-1' },
    { size: undefined },
  ])('refuses %j', (change) => {
    expect(read(JSON.stringify({ ...TRADE, ...change }))).toBe('bad_trade');
  });

  it.each([
    ['bad_channel', 'E TH'],
    ['bad_channel', 'x'.repeat(123)],
    ['reserved_channel', 'tw:x'],
  ])('refuses with %s a symbol that makes no channel: %s', (code, symbol) => {
    expect(read(JSON.stringify({ ...TRADE, symbol }))).toBe(code);
  });
});

function read(text: string): unknown {
  const item = itemOfText(text, (source) => tradeEntry(source, 1_000));
  return item.ok ? item.publication : item.error.code;
}
