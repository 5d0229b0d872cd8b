import { readFileSync } from 'node:fs';

/** Consecutive ETH/USDT trades as an exchange printed them on 2023-02-02 from 09:20:00 UTC, one JSON object a line. */
const RECORDING = new URL('./trades-eth-usdt.ndjson', import.meta.url);

/** The number of trades that {@link recordedTrades} returns. */
export const RECORDED_TRADES = 1_000;

/** Returns the lines of a recording of 1,000 trades on ETH. It is input: nothing may be tuned to it. */
export function recordedTrades(): readonly string[] {
  return readFileSync(RECORDING, 'utf8').trimEnd().split('\n');
}
