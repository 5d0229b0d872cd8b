import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import type { HttpErrorDetails } from '@tradewind/runtime';
import { fault } from './faults.ts';
import type { Item, Publication } from './item.ts';

/** Takes publications to Redis. `RedisCommands` of the bus is one. */
export interface Publisher {
  /** Whether Redis answered lately. A publication may still fail when it is true. */
  readonly available: boolean;
  /**
   * Resolves with the number of nodes that received it, once Redis accepted it. What is called for
   * first is sent first. Rejects with RedisUnavailableError or RedisRefusedError.
   */
  publish(channel: string, payload: string | Uint8Array): Promise<number>;
}

/** What became of one item. */
export type ItemResult =
  | {
      readonly ok: true;
      readonly channel: string;
      /** Nodes that Redis gave it to, not clients. */
      readonly receivers: number;
      readonly bytes: number;
    }
  | {
      readonly ok: false;
      readonly error: HttpErrorDetails;
      /** Redis may have accepted it all the same: publishing it again may publish it twice. */
      readonly outcomeUnknown: boolean;
      /** What Redis or the link said: for the log, not for the caller. */
      readonly cause: string | undefined;
    };

/**
 * Publications of one request that are on their way at the same time, and their bytes together
 * (a larger one goes alone). Enough that the way to Redis and back (about 0.5 ms in a region) is
 * paid once for many; and so few that all requests in flight stay within the 16,384 commands and
 * 32 MiB that the bus takes, so that it does not refuse one out of the middle of a window.
 */
export const WINDOW_ITEMS = 128;
export const WINDOW_BYTES = 128 * 1024;

/** Requests that may publish at the same time: 128 windows are what the bus takes. */
export const MAX_REQUESTS_IN_FLIGHT = 128;

/**
 * Publishes the good ones of a request's items, in order, and says what became of each. Once Redis
 * did not take one, what follows is not sent: a caller who repeats the failed ones keeps their
 * order. Never rejects for what Redis does.
 */
export async function publishItems(
  publisher: Publisher,
  items: readonly Item[],
): Promise<readonly ItemResult[]> {
  const results: ItemResult[] = [];
  let unavailable: HttpErrorDetails | undefined;
  for (const window of windowsOf(items)) {
    const settled = await Promise.all(window.map((item) => settle(publisher, item, unavailable)));
    results.push(...settled);
    unavailable ??= settled.find(isUnavailable)?.error;
  }
  return results;
}

/** Publishes one publication and says what became of it. Never rejects for what Redis does. */
export async function publishOne(
  publisher: Publisher,
  { channel, payload, bytes }: Publication,
): Promise<ItemResult> {
  try {
    const receivers = await publisher.publish(channel, payload);
    return { ok: true, channel, receivers, bytes };
  } catch (error) {
    if (error instanceof RedisUnavailableError) {
      const outcomeUnknown = error.outcome === 'unknown';
      return { ok: false, error: fault('unavailable'), outcomeUnknown, cause: error.message };
    }
    if (error instanceof RedisRefusedError) {
      const code = error.code === 'NOPERM' ? 'channel_not_allowed' : 'unavailable';
      return { ok: false, error: fault(code), outcomeUnknown: false, cause: error.message };
    }
    throw error;
  }
}

function settle(
  publisher: Publisher,
  item: Item,
  unavailable: HttpErrorDetails | undefined,
): ItemResult | Promise<ItemResult> {
  if (!item.ok) return notSent(item.error);
  if (unavailable !== undefined) return notSent(unavailable);
  return publishOne(publisher, item.publication);
}

function notSent(error: HttpErrorDetails): ItemResult {
  return { ok: false, error, outcomeUnknown: false, cause: undefined };
}

function isUnavailable(result: ItemResult): result is Extract<ItemResult, { ok: false }> {
  return !result.ok && result.error.code === 'unavailable';
}

function* windowsOf(items: readonly Item[]): Generator<readonly Item[]> {
  let window: Item[] = [];
  let windowBytes = 0;
  for (const item of items) {
    const bytes = item.ok ? item.publication.bytes : 0;
    const isFull = window.length >= WINDOW_ITEMS || windowBytes + bytes > WINDOW_BYTES;
    if (isFull && window.length > 0) {
      yield window;
      window = [];
      windowBytes = 0;
    }
    window.push(item);
    windowBytes += bytes;
  }
  if (window.length > 0) yield window;
}
