import { type Rate, TokenBucket } from '@tradewind/runtime';
import type { LimitGuard } from '../limits.ts';

/**
 * The longest time that a request waits for its read, in ms, whatever delays the read. A client that hears nothing for 10 s
 * gives up. Before that it must be told that it may ask again.
 */
export const LONGEST_WAIT_MS = 5_000;

/** The time between two checks whether a waiting channel may be read, in ms. */
const CHECK_INTERVAL_MS = 20;

/** Hears of channels that had to wait. It is never called within a call of a {@link HistoryBudget}. */
export interface HistoryBudgetListener<C> {
  /** A channel that was not allowed may be read now: {@link HistoryBudget.allows} returns true within this call. */
  onReady(channel: C): void;
  /** A channel has waited for too long, and waits no longer. */
  onLate(channel: C): void;
}

/**
 * The bytes of history that Redis may send for clients that resume, over all channels of a node. The size of a read is known
 * only after it. Until then it counts as much as the latest reads did. Reads beyond the budget wait, and are allowed in the
 * order in which they came. Repairs are charged and never wait.
 */
export class HistoryBudget<C> {
  readonly #bucket: TokenBucket;
  readonly #guard: LimitGuard;
  readonly #listener: HistoryBudgetListener<C>;
  /** Channels that wait, and when their oldest request came, in ms on the monotonic clock. */
  readonly #waiting = new Map<C, number>();
  #expectedBytes = 0;
  /** The channel whose turn it is. */
  #allowed: C | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(rate: Rate, guard: LimitGuard, listener: HistoryBudgetListener<C>) {
    this.#bucket = new TokenBucket(rate, performance.now());
    this.#guard = guard;
    this.#listener = listener;
  }

  /**
   * Whether the channel may be read now. If not, the channel waits, and the listener is told when it may be read.
   *
   * @param since when its oldest request came, in ms on the monotonic clock. The time counts from there, also for a channel that
   *   was allowed before and could not be read.
   */
  allows(channel: C, since: number): boolean {
    if (this.#waiting.has(channel)) return false;
    if (channel === this.#allowed) return true;
    if (this.#waiting.size === 0 && this.#bucket.take(performance.now(), 0)) return true;
    if (!this.#guard.refuses('history_reads')) return true;
    this.#waiting.set(channel, since);
    this.#schedule();
    return false;
  }

  /** Charges a read that begins. Returns how many bytes it counts as until {@link endRead}. */
  beginRead(): number {
    this.#bucket.charge(performance.now(), this.#expectedBytes);
    return this.#expectedBytes;
  }

  /**
   * Refunds the expected charge of a read that has ended.
   *
   * @param expected what {@link beginRead} returned.
   * @param bytes what the read returned. These were charged as they came.
   */
  endRead(expected: number, bytes: number): void {
    this.#bucket.charge(performance.now(), -expected);
    this.#expectedBytes = Math.max(bytes, this.#expectedBytes / 2);
  }

  /** Charges bytes of history that Redis has sent, for a client or for a repair. */
  charge(bytes: number): void {
    this.#bucket.charge(performance.now(), bytes);
  }

  /** Removes a channel that need not be read any more. */
  forget(channel: C): void {
    this.#waiting.delete(channel);
  }

  /** Ends its timer. */
  stop(): void {
    this.#waiting.clear();
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#serveWaiting();
      if (this.#waiting.size > 0) this.#schedule();
    }, CHECK_INTERVAL_MS);
  }

  #serveWaiting(): void {
    const now = performance.now();
    // All are checked, because a channel that was allowed before and waits again may have the oldest request, and be last.
    for (const [channel, since] of [...this.#waiting]) {
      if (now - since < LONGEST_WAIT_MS) continue;
      this.#waiting.delete(channel);
      this.#listener.onLate(channel);
    }
    for (const channel of [...this.#waiting.keys()]) {
      if (!this.#bucket.take(now, 0)) return;
      this.#waiting.delete(channel);
      this.#allowed = channel;
      this.#listener.onReady(channel);
      this.#allowed = undefined;
    }
  }
}
