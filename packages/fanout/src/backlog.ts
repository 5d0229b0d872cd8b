import type { Publication } from './publication.ts';
import type { PublicationLog } from './publication-log.ts';

interface Missed {
  /** The log's number of the first publication of this channel that was refused. */
  readonly from: number;
  /** How many were; NaN when nobody knows. */
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

  /** Publications that the client is owed and may still get. */
  get owed(): number {
    return this.#owed;
  }

  /** Whether it can be caught up with, as far as the log goes. */
  get isReadable(): boolean {
    return !this.#isForsaken && this.#missed.size > 0;
  }

  /** Counts the log's latest publication as refused. */
  refuse(channel: string): void {
    this.#owed += 1;
    const missed = this.#missed.get(channel);
    if (missed === undefined) this.#missed.set(channel, { from: this.#log.next - 1, count: 1 });
    else missed.count += 1;
  }

  /** Counts the channel as interrupted: nobody knows what is missing. Then all that is owed is lost. */
  lose(channel: string): void {
    this.#missed.set(channel, { from: this.#log.next, count: Number.NaN });
    this.#isForsaken = true;
  }

  /**
   * The client no longer receives this channel. If it is owed some of it, all that it is owed is lost:
   * the log cannot tell what was published before from what will be when it receives it again.
   */
  leave(channel: string): void {
    if (this.#missed.has(channel)) this.#isForsaken = true;
  }

  /**
   * What can no longer be had, as channel → publications (NaN: nobody knows), and is counted as lost
   * from here on. Undefined when that is nothing.
   */
  takeLosses(): Map<string, number> | undefined {
    if (this.#isForsaken) return this.#loseAll();
    const { oldest } = this.#log;
    if (this.#cursor >= oldest) return undefined;
    this.#cursor = oldest;
    const held = this.#countHeld();
    const losses = new Map<string, number>();
    for (const [channel, missed] of this.#missed) {
      const left = held.get(channel) ?? 0;
      const lost = missed.count - left;
      if (lost === 0) continue;
      losses.set(channel, lost);
      this.#owed -= lost;
      missed.count = left;
      if (left === 0) this.#missed.delete(channel);
    }
    return losses.size === 0 ? undefined : losses;
  }

  /** The log's number of the publication that it looks at next. */
  get position(): number {
    return this.#cursor;
  }

  /** Whether the client is owed publications of this channel. */
  misses(channel: string): boolean {
    return this.#missed.has(channel);
  }

  /**
   * The next publication that the client is owed and whose number is less than `end`, or undefined
   * when there is none. Call {@link takeLosses} before.
   */
  peek(end: number): Publication | undefined {
    while (this.isReadable && this.#cursor < end) {
      const publication = this.#log.at(this.#cursor);
      if (publication === undefined) return undefined;
      if (this.#isOwed(publication.channel, this.#cursor)) return publication;
      this.#cursor += 1;
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

  #isOwed(channel: string, number: number): boolean {
    const missed = this.#missed.get(channel);
    return missed !== undefined && number >= missed.from;
  }

  #countHeld(): Map<string, number> {
    const held = new Map<string, number>();
    for (let number = this.#cursor; number < this.#log.next; number += 1) {
      const { channel } = this.#log.at(number) as Publication;
      if (this.#isOwed(channel, number)) held.set(channel, (held.get(channel) ?? 0) + 1);
    }
    return held;
  }

  #loseAll(): Map<string, number> {
    const losses = new Map([...this.#missed].map(([channel, { count }]) => [channel, count]));
    this.#missed.clear();
    this.#owed = 0;
    return losses;
  }
}
