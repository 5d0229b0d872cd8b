import type { Publication } from './publication.ts';
import type { PublicationLog } from './publication-log.ts';

/** A channel of which publications were refused: those that the log numbers `from` to `until`. */
interface Missed {
  readonly from: number;
  /** Where the client left the channel; infinite while it receives it. */
  until: number;
  /** How many; NaN when nobody knows. */
  count: number;
}

/**
 * How far a client that was refused publications is behind: a cursor into the worker's log. It says
 * which publications the client is still owed, in their order, or, where the log has moved on, how
 * many of each channel it will never get.
 *
 * All publications that are offered to the client from the first refusal on must be refused, and
 * counted here, until {@link isOver}: so what it is owed is one unbroken stretch of its numbers.
 */
export class Backlog {
  readonly #log: PublicationLog;
  readonly #missed = new Map<string, Missed>();
  #cursor: number;
  #owed = 0;
  #isForsaken = false;

  /** Begins with the publication that was appended to the log last. */
  constructor(log: PublicationLog) {
    this.#log = log;
    this.#cursor = log.next - 1;
  }

  /** Whether the client is owed nothing any more. */
  get isOver(): boolean {
    return this.#missed.size === 0;
  }

  /** Publications that took numbers of the client and that it has neither had nor been told of. */
  get owed(): number {
    return this.#owed;
  }

  /** Whether the log still holds all that the client is owed. */
  get isWhole(): boolean {
    return !this.#isForsaken && this.#cursor >= this.#log.oldest;
  }

  /** The log's number of the publication that it looks at next. */
  get position(): number {
    return this.#cursor;
  }

  /** Whether the client is owed publications of this channel, which it receives. */
  misses(channel: string): boolean {
    return this.#missed.get(channel)?.until === Number.POSITIVE_INFINITY;
  }

  /** Counts the log's latest publication as refused. */
  refuse(channel: string): void {
    this.#owed += 1;
    const missed = this.#missed.get(channel);
    if (missed !== undefined) {
      // It left the channel and is back: what lies between cannot be told from the rest.
      if (missed.until < Number.POSITIVE_INFINITY) this.forsake();
      missed.count += 1;
      return;
    }
    const from = this.#log.next - 1;
    this.#missed.set(channel, { from, until: Number.POSITIVE_INFINITY, count: 1 });
  }

  /**
   * Counts more publications of the channel as lost, which took no numbers of the client: `lost`, or
   * NaN when nobody knows. Nothing from before may follow them, so all that is owed is lost as well.
   */
  lose(channel: string, lost: number): void {
    const count = (this.#missed.get(channel)?.count ?? 0) + lost;
    this.#missed.set(channel, { from: this.#log.next, until: Number.POSITIVE_INFINITY, count });
    this.forsake();
  }

  /** Gives up: all that is owed is lost. */
  forsake(): void {
    this.#isForsaken = true;
  }

  /** The client no longer receives this channel: what it is owed of it, it does not get. */
  leave(channel: string): void {
    const missed = this.#missed.get(channel);
    if (missed !== undefined) missed.until = Math.min(missed.until, this.#log.next);
  }

  /**
   * What can no longer be had, as channel → publications (NaN: nobody knows), and is counted as lost
   * from here on. Undefined when that is nothing.
   */
  takeLosses(): Map<string, number> | undefined {
    if (this.#isForsaken) return this.#loseAll();
    if (this.isWhole) return undefined;
    this.#cursor = this.#log.oldest;
    const losses = new Map<string, number>();
    for (const [channel, missed] of this.#missed) {
      const left = this.#log.count(channel, missed.from, missed.until);
      if (left === missed.count) continue;
      losses.set(channel, missed.count - left);
      this.#owed -= missed.count - left;
      missed.count = left;
      if (left === 0) this.#missed.delete(channel);
    }
    return losses.size === 0 ? undefined : losses;
  }

  /**
   * The next publication that the client is owed and whose number is less than `end`, or undefined
   * when there is none. Call {@link takeLosses} before.
   */
  peek(end: number): Publication | undefined {
    while (!this.isOver && !this.#isForsaken && this.#cursor < end) {
      const publication = this.#log.at(this.#cursor);
      if (publication === undefined) return undefined;
      const missed = this.#missed.get(publication.channel);
      if (missed === undefined || this.#cursor < missed.from || this.#cursor >= missed.until) {
        this.#cursor += 1;
      } else if (missed.until < Number.POSITIVE_INFINITY) {
        this.shift(publication.channel);
      } else {
        return publication;
      }
    }
    return undefined;
  }

  /** The client has what {@link peek} returned. */
  shift(channel: string): void {
    this.#cursor += 1;
    this.#owed -= 1;
    const missed = this.#missed.get(channel) as Missed;
    missed.count -= 1;
    if (missed.count === 0) this.#missed.delete(channel);
  }

  #loseAll(): Map<string, number> {
    const losses = new Map([...this.#missed].map(([channel, { count }]) => [channel, count]));
    this.#missed.clear();
    this.#owed = 0;
    return losses;
  }
}
