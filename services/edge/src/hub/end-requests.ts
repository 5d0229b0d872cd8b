import type { FeedListener } from '../feed.ts';

/**
 * Workers that wait to be told where a channel ends. They ask when a client says that it has gone further than this node,
 * or that the channel has another epoch. It may be right: a publication reaches one node before another. Only a read of
 * the position that begins after the request can answer it, once everything up to that position was delivered.
 */
export class EndRequests {
  readonly #waiting = new Set<FeedListener>();
  readonly #reading = new Set<FeedListener>();
  readonly #answered = new Set<FeedListener>();

  /** Whether a worker waits for whom no read has begun yet. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  add(listener: FeedListener): void {
    this.#waiting.add(listener);
  }

  drop(listener: FeedListener): void {
    for (const set of [this.#waiting, this.#reading, this.#answered]) set.delete(listener);
  }

  /** A read begins now. It answers all that wait. */
  markReading(): void {
    move(this.#waiting, this.#reading);
  }

  /** The read has brought a position. */
  markAnswered(): void {
    move(this.#reading, this.#answered);
  }

  /** The read does not count. Those who waited for it wait for another one. */
  putBack(): void {
    move(this.#reading, this.#waiting);
  }

  /** Removes those whose read has brought a position. Everything up to it must have been delivered. */
  takeAnswered(): FeedListener[] {
    const taken = [...this.#answered];
    this.#answered.clear();
    return taken;
  }

  /** Removes all, because none of them can be answered. */
  takeAll(): FeedListener[] {
    const taken = [...this.#waiting, ...this.#reading, ...this.#answered];
    for (const set of [this.#waiting, this.#reading, this.#answered]) set.clear();
    return taken;
  }
}

function move(from: Set<FeedListener>, to: Set<FeedListener>): void {
  for (const listener of from) to.add(listener);
  from.clear();
}
