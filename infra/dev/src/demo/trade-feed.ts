import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LedgerEntry, TradeLedger } from './trade-ledger.ts';
import type { Trade, TradeSource } from './trade-source.ts';

/** How often due trades are looked for, in ms: what a trade waits here at most. */
const TICK_MS = 5;

/** Trades in one request: ingest takes 1,000 by default. */
const MAX_BATCH = 500;

/** How long ingest may take to answer, in ms. */
const ANSWER_DEADLINE_MS = 10_000;

export interface FeedState {
  /** Whether the source has given its last trade. */
  readonly ended: boolean;
  /** Why trades were refused lately, in ingest's words. */
  readonly lastRefusal: string | undefined;
}

/** The channel that ingest publishes a symbol's trades on. */
export function channelOf(symbol: string): string {
  return `${symbol}.trade`;
}

/**
 * Publishes what a source gives, through ingest as any backend would, one request at a time so that
 * the order is kept, and notes each trade in the ledger.
 */
export class TradeFeed {
  readonly #source: TradeSource;
  readonly #ledger: TradeLedger;
  readonly #url: string;
  /** Its own each time: a file that is replayed again is no repetition of requests. */
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

  /** Resolves when the source has ended, or `stop` was aborted and the last request was answered. */
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
    for (const [index, trade] of trades.entries()) {
      const refusal = refusals(index);
      if (refusal !== undefined) this.#lastRefusal = refusal;
      this.#ledger.settle(channelOf(trade.symbol), entries[index] as LedgerEntry, !refusal);
    }
  }

  /** Answers why the trade at an index was refused, or undefined for one that was published. */
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

/** The part of the answer to `POST /v1/trades` that is read: one result a trade, in their order. */
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
