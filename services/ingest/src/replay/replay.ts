import { isUtf8 } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpErrorDetails } from '@tradewind/runtime';
import { itemOfText } from '../http/batch.ts';
import { type TradeOrigin, tradeEntry } from '../http/trade-entry.ts';
import { fault } from '../publishing/faults.ts';
import type { Item, Publication } from '../publishing/item.ts';
import {
  type ItemResult,
  type Publisher,
  type PublishTerms,
  publishOne,
} from '../publishing/publish.ts';
import { type Line, linesOf } from './lines.ts';
import { type Pace, Schedule } from './pace.ts';

/** The longest that Node's timers wait at once, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The progress of a replay. */
export interface ReplayProgress {
  /** Trades that Redis accepted and published. */
  readonly published: number;
  /** Trades that were published before, by this run or an earlier one of the same id. */
  readonly duplicates: number;
  /** Lines that are no valid trade. Blank lines are not counted. */
  readonly invalid: number;
  /** Bytes of the file that have been read. */
  readonly position: number;
  /** Lines of the file that have been read. */
  readonly lines: number;
}

/** How a replay ended. */
export interface ReplayOutcome extends ReplayProgress {
  /** The first line that was not accepted; undefined if all were, or if the signal aborted. */
  readonly refused: { readonly line: number; readonly reason: string } | undefined;
  /**
   * The line at which to continue: the first line that was not accepted or not reached. All earlier lines are done. Undefined
   * if the whole file is done.
   */
  readonly nextLine: number | undefined;
  /** The last line from `nextLine` on that was or may have been published; undefined if there is none. */
  readonly publishedTo: number | undefined;
}

/**
 * Publishes a file of trades, one a line, at a pace. The file is read as it is needed. The replay ends with the file, at the
 * first trade that is not accepted, or when the signal aborts.
 *
 * @param options.fromLine the first line to publish, from 1; earlier lines are skipped.
 * @param options.publisher may reject with the signal's reason after the signal aborted; it must then have published nothing.
 * @param options.origin makes the trades' idempotency keys.
 * @param options.terms called for each trade when it is sent.
 * @param options.maxInFlight the most publications in flight. They are sent in the file's order; with more than 1, later ones
 *   may have been sent before a failure is known.
 * @param options.onInvalid called for every line that is no valid trade; the replay continues.
 */
export async function replay(options: {
  readonly stream: AsyncIterable<Buffer>;
  readonly fromLine: number;
  readonly publisher: Publisher;
  readonly origin: TradeOrigin;
  readonly terms: () => PublishTerms;
  readonly pace: Pace;
  readonly maxInFlight: number;
  readonly maxPublicationBytes: number;
  readonly signal: AbortSignal;
  readonly onInvalid: (line: number, error: HttpErrorDetails) => void;
  readonly onProgress: (progress: ReplayProgress) => void;
}): Promise<ReplayOutcome> {
  const { fromLine, publisher, origin, terms, maxPublicationBytes } = options;
  const failed = new AbortController();
  const stopped = AbortSignal.any([options.signal, failed.signal]);
  const schedule = new Schedule(options.pace);
  const startedAt = performance.now();
  const inFlight: Promise<void>[] = [];
  let progress: ReplayProgress = {
    published: 0,
    duplicates: 0,
    invalid: 0,
    position: 0,
    lines: 0,
  };
  let refused: ReplayOutcome['refused'];
  let nextLine = Number.POSITIVE_INFINITY;
  let publishedTo = 0;

  function leave(line: number): void {
    nextLine = Math.min(nextLine, line);
  }

  async function publish(line: number, publication: Publication): Promise<void> {
    let result: ItemResult;
    try {
      result = await publishOne(publisher, publication, terms());
    } catch (error) {
      if (!options.signal.aborted || error !== options.signal.reason) throw error;
      leave(line);
      return;
    }
    if (result.ok || result.outcomeUnknown) publishedTo = Math.max(publishedTo, line);
    if (result.ok) {
      const { published, duplicates } = progress;
      progress = result.duplicate
        ? { ...progress, duplicates: duplicates + 1 }
        : { ...progress, published: published + 1 };
      return;
    }
    const doubt = result.outcomeUnknown ? '; whether it was published is not known' : '';
    const reason = `${result.error.code}: ${result.cause ?? result.error.message}${doubt}`;
    // Answers may arrive in another order than the lines, because a publication that was never sent fails at once.
    if (refused === undefined || line < refused.line) refused = { line, reason };
    leave(line);
    failed.abort();
  }

  for await (const line of linesOf(options.stream, maxPublicationBytes)) {
    if (stopped.aborted) {
      leave(Math.max(line.number, fromLine));
      break;
    }
    if (line.number < fromLine) {
      progress = { ...progress, position: line.position, lines: line.number };
      continue;
    }
    const trade = readTrade(line, maxPublicationBytes, origin);
    if (trade !== undefined && !trade.item.ok) {
      progress = { ...progress, invalid: progress.invalid + 1 };
      options.onInvalid(line.number, trade.item.error);
    }
    if (trade?.item.ok) {
      await waitUntil(startedAt + schedule.next(trade.ts), stopped);
      if (inFlight.length >= options.maxInFlight) await inFlight.shift();
      if (stopped.aborted) {
        leave(line.number);
        break;
      }
      inFlight.push(publish(line.number, trade.item.publication));
    }
    progress = { ...progress, position: line.position, lines: line.number };
    options.onProgress(progress);
  }
  await Promise.all(inFlight);
  return {
    ...progress,
    refused,
    nextLine: Number.isFinite(nextLine) ? nextLine : undefined,
    publishedTo: publishedTo >= nextLine ? publishedTo : undefined,
  };
}

/** Reads the trade of a line; undefined for a blank line. */
function readTrade(
  { bytes }: Line,
  maxPublicationBytes: number,
  origin: TradeOrigin,
): { readonly item: Item; readonly ts: number } | undefined {
  if (bytes === undefined) return invalid(fault('publication_too_large'));
  if (!isUtf8(bytes)) return invalid(fault('bad_payload', 'The line is not UTF-8.'));
  const text = bytes.toString('utf8');
  if (text.trim() === '') return undefined;
  let ts = 0;
  const item = itemOfText(text, (source) => {
    ({ ts } = source.value as { ts: number });
    return tradeEntry(source, maxPublicationBytes, origin);
  });
  return { item, ts };
}

function invalid(error: HttpErrorDetails): { readonly item: Item; readonly ts: number } {
  return { item: { ok: false, error }, ts: 0 };
}

/** Returns early when the signal aborts. */
async function waitUntil(dueAt: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    const waitMs = dueAt - performance.now();
    if (waitMs <= 0 || signal.aborted) return;
    try {
      await sleep(Math.min(waitMs, MAX_TIMER_MS), undefined, { signal });
    } catch {
      return;
    }
  }
}
