import type { Publication } from '@tradewind/fanout';
import { PendingReads } from '../clients/replay-admission.ts';
import type { HubFeed } from '../hub/hub.ts';

/** What a worker misses of one channel. */
export class MissedPublications {
  /** The epoch of the offsets. Empty while none is missing. */
  readonly epoch: string;
  /** The number of missing publications without offsets. NaN when nobody knows it. */
  #plain = 0;
  #from = 0;
  #to = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  /** The first missing offset, or 0 if none is missing. */
  get from(): number {
    return this.#from;
  }

  /** The last missing offset, inclusive. */
  get to(): number {
    return this.#to;
  }

  add({ offset }: Pick<Publication, 'offset'>): void {
    if (offset === 0) this.#plain += 1;
    else this.addRange(offset, offset);
  }

  /** Adds offsets, both inclusive. They must follow those that are missing already. */
  addRange(from: number, to: number): void {
    this.#from ||= from;
    this.#to = Math.max(this.#to, to);
  }

  /**
   * Adds publications without offsets.
   *
   * @param count NaN when nobody knows how many.
   */
  addPlain(count: number): void {
    this.#plain += count;
  }

  /** Returns the number of missing publications without offsets, which nobody can fill in, and counts from 0 again. */
  takePlain(): number {
    const plain = this.#plain;
    this.#plain = 0;
    return plain;
  }

  /** Drops all offsets before this one, because the worker was told of them. */
  dropBefore(offset: number): void {
    this.#from = offset > this.#to ? 0 : offset;
    if (this.#from === 0) this.#to = 0;
  }
}

/** A read of history that is under way: the offset from which the worker asked for it, or the record that it fills in. */
export type WorkerRead = number | MissedPublications;

/** The hub's way to read a channel's history. */
export type HistoryReader = Pick<HubFeed, 'fillIn' | 'readHistory'>;

/** The reads of history for one worker, at most one a channel at a time. */
export class WorkerReads {
  readonly #reader: HistoryReader;
  /** The offsets from which the worker asked for history and has no answer yet, by channel. */
  readonly #requested = new Map<string, number>();
  /** Channels with a read to start, in the order in which they must start. */
  readonly #toStart = new Set<string>();
  /** Reads that the hub has not answered yet. */
  readonly #underWay = new Map<string, WorkerRead>();
  readonly #budget: PendingReads;

  /** @param bytes the most that all answers together may take. */
  constructor(reader: HistoryReader, bytes: number) {
    this.#reader = reader;
    this.#budget = new PendingReads(bytes);
  }

  get isEmpty(): boolean {
    return this.#toStart.size === 0;
  }

  /** Takes a request of the worker; see `Feed.readHistory`. */
  request(channel: string, from: number): void {
    this.#requested.set(channel, from);
    this.#toStart.add(channel);
  }

  /** Schedules a read of this channel, to fill in what is missing. */
  schedule(channel: string): void {
    this.#toStart.add(channel);
  }

  /**
   * Starts the reads that may start now. What is missing comes before a request of the worker for the same channel,
   * which is about newer publications too.
   *
   * @param freeBytes free room towards the worker; negative for none.
   */
  start(missed: ReadonlyMap<string, MissedPublications>, freeBytes: number): void {
    for (const channel of this.#toStart) {
      if (!this.#budget.mayBegin(freeBytes)) return;
      if (this.#underWay.has(channel)) continue;
      this.#toStart.delete(channel);
      const read = missed.get(channel) ?? this.#requested.get(channel);
      if (read === undefined) continue;
      this.#underWay.set(channel, read);
      this.#budget.begin();
      if (typeof read === 'number') this.#reader.readHistory(channel, read);
      else this.#reader.fillIn(channel, read.from);
    }
  }

  /** Ends the read that the hub answered with `bytes`, and returns it. Undefined when nobody waits for it any more. */
  finish(channel: string, bytes: number): WorkerRead | undefined {
    const read = this.#underWay.get(channel);
    this.#end(channel, bytes);
    if (typeof read === 'number') this.#requested.delete(channel);
    else if (this.#requested.has(channel)) this.#toStart.add(channel);
    return read;
  }

  /** Forgets a channel that the worker dropped: an answer to its read is ignored. */
  forget(channel: string): void {
    this.#requested.delete(channel);
    this.#toStart.delete(channel);
    this.#end(channel, undefined);
  }

  #end(channel: string, bytes: number | undefined): void {
    if (this.#underWay.delete(channel)) this.#budget.end(bytes);
  }
}
