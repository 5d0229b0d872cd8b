import type { Trade, TradeSource } from './trade-source.ts';

interface Market {
  readonly symbol: string;
  /** The first price, in dollars: about the price when this was written. */
  readonly price: number;
  readonly priceDecimals: number;
  /** The size of an average trade, in units of the coin: a few hundred dollars. */
  readonly size: number;
}

const MARKETS: readonly Market[] = [
  { symbol: 'BTC', price: 64_123.5, priceDecimals: 2, size: 0.01 },
  { symbol: 'ETH', price: 1_666.8, priceDecimals: 2, size: 0.3 },
  { symbol: 'SOL', price: 142.07, priceDecimals: 2, size: 4 },
  { symbol: 'PEPE', price: 0.00001234, priceDecimals: 10, size: 40_000_000 },
  { symbol: 'DOGE', price: 0.12345, priceDecimals: 5, size: 4_000 },
];

/** Trades per second and symbol. */
const TRADES_PER_SECOND = 12;

/** The largest move of the price by one trade, as a fraction of the price. */
const LARGEST_STEP = 0.0004;

/** A stream of one market's trades: the next one, and when it is due. */
interface Stream {
  readonly market: Market;
  price: number;
  made: number;
  dueMs: number;
}

/**
 * Makes synthetic trades: random walks of prices, twelve trades a second and symbol at uneven intervals. Each trade is marked
 * as synthetic.
 *
 * @param random returns numbers from 0 (inclusive) to 1 (exclusive); a seeded source makes the trades repeatable.
 */
export function syntheticTrades(random: () => number = Math.random): TradeSource {
  const run = Math.floor(random() * 2 ** 32).toString(36);
  const streams: Stream[] = MARKETS.map((market) => ({
    market,
    price: market.price,
    made: 0,
    dueMs: pause(random),
  }));
  let extra = 0;
  return {
    label: `synthetic (${TRADES_PER_SECOND}/s for each of ${MARKETS.length} symbols)`,
    symbols: MARKETS.map(({ symbol }) => symbol),
    async take(elapsedMs, most) {
      const trades: Trade[] = [];
      for (; extra > 0 && trades.length < most; extra--) {
        const stream = streams[extra % streams.length]!;
        trades.push(nextTrade(stream, run, random));
      }
      while (trades.length < most) {
        const stream = streams.reduce((one, other) => (other.dueMs < one.dueMs ? other : one));
        if (stream.dueMs > elapsedMs) break;
        trades.push(nextTrade(stream, run, random));
        stream.dueMs += pause(random);
      }
      return trades;
    },
    burst(count) {
      extra += count;
    },
    async close() {},
  };
}

/** Returns an interval of 0.5 to 1.5 times the mean, in ms. */
function pause(random: () => number): number {
  return (1_000 / TRADES_PER_SECOND) * (0.5 + random());
}

function nextTrade(stream: Stream, run: string, random: () => number): Trade {
  const { symbol, priceDecimals, size } = stream.market;
  const step = (random() * 2 - 1) * LARGEST_STEP;
  stream.price *= 1 + step;
  stream.made += 1;
  const id = `${run}-${stream.made}`;
  const price = stream.price.toFixed(priceDecimals);
  const trade = {
    symbol,
    id,
    ts: Date.now(),
    side: step < 0 ? 'sell' : 'buy',
    price,
    size: (size * 10 ** (random() * 2 - 1)).toFixed(3),
    synthetic: true,
  };
  return { symbol, id, price, line: JSON.stringify(trade) };
}
