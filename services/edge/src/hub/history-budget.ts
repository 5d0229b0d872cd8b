import { type Rate, TokenBucket } from '@tradewind/runtime';
import type { LimitGuard } from '../limits.ts';

/**
 * How long a question waits to be read for at most, in ms, whatever it waits for. A client that hears nothing for 10 s
 * gives up; before that it is told that it may ask again.
 */
export const PATIENCE_MS = 5_000;

/** Between two looks whether those who wait may go on, in ms. */
const LOOK_INTERVAL_MS = 20;

/** Whom a budget tells. Never within a call of {@link HistoryBudget}. */
export interface HistoryBudgetListener<C> {
  /** The channel that was not allowed may try again. */
  ready(channel: C): void;
  /** The channel has waited for too long; it is forgotten. */
  late(channel: C): void;
}

/**
 * What Redis may send of channels' histories for clients that resume, over all channels of a node, in bytes. How much a
 * read brings shows only when it has come: until then it counts as the latest ones did. What is beyond the budget waits,
 * the first comes first. Repairs are charged and never wait.
 */
export class HistoryBudget<C> {
  readonly #bucket: TokenBucket;
  readonly #guard: LimitGuard;
  readonly #listener: HistoryBudgetListener<C>;
  /** Channels that wait, and since when their oldest question does, in ms on the monotonic clock. */
  readonly #waiting = new Map<C, number>();
  #expectedBytes = 0;
  /** Whose turn it is. */
  #allowed: C | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(rate: Rate, guard: LimitGuard, listener: HistoryBudgetListener<C>) {
    this.#bucket = new TokenBucket(rate, performance.now());
    this.#guard = guard;
    this.#listener = listener;
  }

  /**
   * Whether the channel may be read now; if not, the listener hears of it.
   *
   * @param since when its oldest question was put, in ms on the monotonic clock. A channel that was allowed and could not
   *   be read all the same goes on waiting from there.
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

  /** A read begins. Returns what it counts as until {@link end}. */
  begin(): number {
    this.#bucket.charge(performance.now(), this.#expectedBytes);
    return this.#expectedBytes;
  }

  /**
   * A read is over.
   *
   * @param expected what {@link begin} returned.
   * @param bytes what it brought, which was charged as it came.
   */
  end(expected: number, bytes: number): void {
    this.#bucket.charge(performance.now(), -expected);
    this.#expectedBytes = Math.max(bytes, this.#expectedBytes / 2);
  }

  /** Redis has sent so many bytes, for whatever. */
  charge(bytes: number): void {
    this.#bucket.charge(performance.now(), bytes);
  }

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
    }, LOOK_INTERVAL_MS);
  }

  #serveWaiting(): void {
    const now = performance.now();
    // The oldest question may be behind: its channel was allowed before, and waits here again.
    for (const [channel, since] of [...this.#waiting]) {
      if (now - since < PATIENCE_MS) continue;
      this.#waiting.delete(channel);
      this.#listener.late(channel);
    }
    for (const channel of [...this.#waiting.keys()]) {
      if (!this.#bucket.take(now, 0)) return;
      this.#waiting.delete(channel);
      this.#allowed = channel;
      this.#listener.ready(channel);
      this.#allowed = undefined;
    }
  }
}
