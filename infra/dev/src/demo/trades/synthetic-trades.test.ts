import { describe, expect, it } from 'vitest';
import { syntheticTrades } from './synthetic-trades.ts';

/** A repeatable source of numbers (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('syntheticTrades', () => {
  it('makes twelve trades a second and symbol', async () => {
    const source = syntheticTrades(seeded(1));
    const trades = (await source.take(10_000, 10_000)) ?? [];
    for (const symbol of ['BTC', 'ETH', 'SOL', 'PEPE', 'DOGE']) {
      const count = trades.filter((trade) => trade.symbol === symbol).length;
      expect(count).toBeGreaterThan(100);
      expect(count).toBeLessThan(140);
    }
  });

  it('makes what ingest accepts, says that it is synthetic, and never repeats an id', async () => {
    const trades = (await syntheticTrades(seeded(2)).take(60_000, 10_000)) ?? [];
    for (const { line } of trades) {
      const trade = JSON.parse(line);
      expect(trade.price).toMatch(/^(0|[1-9]\d*)\.\d+$/);
      expect(trade.size).toMatch(/^(0|[1-9]\d*)\.\d+$/);
      expect(['buy', 'sell']).toContain(trade.side);
      expect(trade.synthetic).toBe(true);
    }
    const names = trades.map(({ symbol, id }) => `${symbol} ${id}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it('gives nothing before its time, and the rest on the next call', async () => {
    const source = syntheticTrades(seeded(3));
    expect(await source.take(0, 100)).toEqual([]);
    const first = (await source.take(1_000, 7)) ?? [];
    const rest = (await source.take(1_000, 1_000)) ?? [];
    expect(first).toHaveLength(7);
    expect(rest.length).toBeGreaterThan(40);
    expect(await source.take(1_000, 1_000)).toEqual([]);
  });
});

it('makes a burst due at once, of all symbols', async () => {
  const source = syntheticTrades(seeded(1));
  source.burst?.(7);
  const first = (await source.take(0, 5)) ?? [];
  const rest = (await source.take(0, 5)) ?? [];
  expect([first.length, rest.length]).toEqual([5, 2]);
  expect(new Set(first.map(({ symbol }) => symbol)).size).toBe(5);
  const ids = [...first, ...rest].map(({ symbol, id }) => `${symbol} ${id}`);
  expect(new Set(ids).size).toBe(7);
});
