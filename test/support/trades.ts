import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRandom } from './random.ts';

/** A recording beside the checkout, if there is one. */
const RECORDING = new URL('../../../shared/data/trades-eth-usdt.ndjson', import.meta.url);

/** The number of trades that {@link recordedTrades} returns. */
export const RECORDED_TRADES = 1_000;

/** Returns the lines of 1,000 trades on ETH: a recording of a real exchange, or trades of the same shape. */
export function recordedTrades(): readonly string[] {
  if (!existsSync(RECORDING)) return madeUpTrades();
  return readFileSync(fileURLToPath(RECORDING), 'utf8').trimEnd().split('\n');
}

function madeUpTrades(): readonly string[] {
  const random = createRandom(1);
  let ts = 1_675_329_600_000;
  return Array.from({ length: RECORDED_TRADES }, (_, i) => {
    ts += random.below(300);
    const side = random.next() < 0.5 ? 'buy' : 'sell';
    const price = (1_650 + random.below(2_000) / 100).toFixed(2).replace(/0$/, '');
    const size = (random.below(30_000) / 1_000).toFixed(3);
    return JSON.stringify({ symbol: 'ETH', id: String(1_206_419_187 + i), ts, side, price, size });
  });
}
