import type { FeedListener } from '../feed.ts';

/**
 * Workers that want to know where a channel ends: a client says that it has come further than this node,
 * or that the channel has another epoch. On another node it may have: a publication is on its way to each
 * of them for some time. Only a look at Redis that begins after the question can answer it, when
 * everything up to the end that it found has been passed on.
 */
export class EndRequests {
  readonly #waiting = new Set<FeedListener>();
  readonly #asked = new Set<FeedListener>();
  readonly #answered = new Set<FeedListener>();

  /** Whether someone waits for whom Redis was not asked yet. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  add(listener: FeedListener): void {
    this.#waiting.add(listener);
  }

  drop(listener: FeedListener): void {
    for (const set of [this.#waiting, this.#asked, this.#answered]) set.delete(listener);
  }

  /** Redis is being asked now: its answer counts for all who wait. */
  asked(): void {
    move(this.#waiting, this.#asked);
  }

  /** Redis has answered. */
  answered(): void {
    move(this.#asked, this.#answered);
  }

  /** The answer does not count: those who asked wait for another one. */
  unanswered(): void {
    move(this.#asked, this.#waiting);
  }

  /** Takes those for whom Redis has answered, once what it said has been passed on. */
  takeAnswered(): FeedListener[] {
    const taken = [...this.#answered];
    this.#answered.clear();
    return taken;
  }

  /** Takes all, since nobody can be answered. */
  takeAll(): FeedListener[] {
    const taken = [...this.#waiting, ...this.#asked, ...this.#answered];
    for (const set of [this.#waiting, this.#asked, this.#answered]) set.clear();
    return taken;
  }
}

function move(from: Set<FeedListener>, to: Set<FeedListener>): void {
  for (const listener of from) to.add(listener);
  from.clear();
}
