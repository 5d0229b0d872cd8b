import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LedgerEntry, TradeLedger } from './trade-ledger.ts';
import type { Trade, TradeSource } from './trade-source.ts';

/** The interval at which due trades are sent, in ms, which is the longest that a trade waits here. */
const TICK_MS = 5;

/** Trades in one request: ingest takes 1,000 by default. */
const MAX_BATCH = 500;

/** How long ingest may take to answer, in ms. */
const ANSWER_DEADLINE_MS = 10_000;

export interface FeedState {
  /** Whether the source has ended. */
  readonly ended: boolean;
  /** Why a trade of the last request was refused, in ingest's words; undefined if all were published. */
  readonly lastRefusal: string | undefined;
}

/** Returns the channel on which ingest publishes a symbol's trades. */
export function channelOf(symbol: string): string {
  return `${symbol}.trade`;
}

/**
 * Publishes the trades of a source through ingest, as any backend would, and records each in the ledger. It sends one request
 * at a time, so that the order is kept.
 */
export class TradeFeed {
  readonly #source: TradeSource;
  readonly #ledger: TradeLedger;
  readonly #url: string;
  /** New for each run, so that a file that is replayed again is published again. */
  readonly #idempotencySource = `demo-${randomUUID()}`;
  #ended = false;
  #lastRefusal: string | undefined;

  /** @param ingestUrl such as `http://127.0.0.1:8081`. */
  constructor(source: TradeSource, ledger: TradeLedger, ingestUrl: string) {
    this.#source = source;
    this.#ledger = ledger;
    this.#url = `${ingestUrl}/v1/trades`;
  }

  get state(): FeedState {
    return { ended: this.#ended, lastRefusal: this.#lastRefusal };
  }

  /** Resolves when the source has ended, or when `stop` was aborted and the last request was answered. */
  async run(stop: AbortSignal): Promise<void> {
    const begun = performance.now();
    while (!stop.aborted) {
      const trades = await this.#source.take(performance.now() - begun, MAX_BATCH);
      if (trades === undefined) break;
      if (trades.length > 0) await this.#publish(trades);
      else await sleep(TICK_MS);
    }
    this.#ended = true;
    await this.#source.close();
  }

  async #publish(trades: readonly Trade[]): Promise<void> {
    const now = performance.now();
    const entries = trades.map(({ symbol, id }) => this.#ledger.offer(channelOf(symbol), id, now));
    const refusals = await this.#post(trades);
    this.#lastRefusal = undefined;
    for (const [index, trade] of trades.entries()) {
      const refusal = refusals(index);
      if (refusal !== undefined) this.#lastRefusal = refusal;
      this.#ledger.settle(channelOf(trade.symbol), entries[index] as LedgerEntry, !refusal);
    }
  }

  /** Returns why the trade at an index was refused; undefined for one that was published. */
  async #post(trades: readonly Trade[]): Promise<(index: number) => string | undefined> {
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-ndjson',
          'idempotency-source': this.#idempotencySource,
        },
        body: trades.map(({ line }) => line).join('\n'),
        signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
      });
      const answer = (await response.json()) as IngestAnswer;
      const whole = `ingest answered ${response.status}`;
      return (index) => refusalOf(answer.results?.[index], whole);
    } catch (error) {
      const reason = `ingest did not answer: ${(error as Error).message}`;
      return () => reason;
    }
  }
}

/** The fields of an answer to `POST /v1/trades` that are read: one result a trade, in order. */
interface IngestAnswer {
  readonly results?: readonly IngestResult[];
}

interface IngestResult {
  readonly error?: { readonly code: string; readonly message: string };
}

function refusalOf(result: IngestResult | undefined, whole: string): string | undefined {
  if (result === undefined) return whole;
  return result.error && `${result.error.code}: ${result.error.message}`;
}
