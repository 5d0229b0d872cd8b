import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { UsageError } from '../settings.ts';
import type { Trade, TradeSource } from './trade-source.ts';

/** Symbols of one file: as many as one subscribe request may name. */
const MAX_SYMBOLS = 128;

interface RecordedTrade extends Trade {
  /** When it was made, ms since the Unix epoch. */
  readonly ts: number;
}

/**
 * Reads trades from a file: one JSON object a line with at least `symbol`, `id`, `ts` and `price`. They have the order of
 * the file, and its pace times `speed`. The file is read twice, first for its symbols, and never held as a whole. Rejects
 * if the file cannot be read or a line is no trade.
 */
export async function recordedTrades(file: string, speed: number): Promise<TradeSource> {
  const symbols = await symbolsOf(file);
  const trades = readTrades(file);
  let next = await trades.next();
  const firstTs = next.done ? 0 : next.value.ts;
  return {
    label: `recorded (${basename(file)}, ${speed} × its own pace)`,
    symbols,
    async take(elapsedMs, most) {
      if (next.done) return undefined;
      const due: Trade[] = [];
      while (!next.done && due.length < most && (next.value.ts - firstTs) / speed <= elapsedMs) {
        due.push(next.value);
        next = await trades.next();
      }
      return due;
    },
    async close() {
      await trades.return(undefined);
    },
  };
}

async function symbolsOf(file: string): Promise<string[]> {
  const symbols = new Set<string>();
  for await (const { symbol } of readTrades(file)) {
    symbols.add(symbol);
    if (symbols.size > MAX_SYMBOLS) {
      throw new UsageError(`${file} names more than ${MAX_SYMBOLS} symbols`);
    }
  }
  if (symbols.size === 0) throw new UsageError(`${file} holds no trade`);
  return [...symbols];
}

async function* readTrades(file: string): AsyncGenerator<RecordedTrade, void> {
  const input = createReadStream(file);
  try {
    let number = 0;
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      if (line.trim() !== '') yield readTrade(line, `${file}, line ${number}`);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  } finally {
    input.destroy();
  }
}

function readTrade(line: string, where: string): RecordedTrade {
  let trade: Partial<Record<string, unknown>> | null;
  try {
    trade = JSON.parse(line);
  } catch {
    throw new UsageError(`${where}: not JSON`);
  }
  const { symbol, id, ts, price } = trade ?? {};
  const isId = typeof id === 'string' || typeof id === 'number';
  if (typeof symbol !== 'string' || !isId || typeof ts !== 'number' || typeof price !== 'string') {
    throw new UsageError(`${where}: a trade needs symbol, id, ts (a number) and price (a string)`);
  }
  return { symbol, id: String(id), ts, price, line };
}
