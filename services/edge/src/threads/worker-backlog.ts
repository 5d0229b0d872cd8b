import type { Publication } from '@tradewind/fanout';
import { PendingReads } from '../clients/subscriptions/replay-admission.ts';
import type { HistoryAnswer } from '../feed.ts';
import type { HubFeed } from '../hub/hub.ts';

/** What a worker misses of one channel. */
export class MissedPublications {
  /** The epoch of the offsets. Empty while none is missing. */
  readonly epoch: string;
  /** The number of missing publications without offsets; NaN if it is unknown. */
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

  /** Adds a publication. */
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
   * @param count NaN if their number is unknown.
   */
  addPlain(count: number): void {
    this.#plain += count;
  }

  /** Returns the number of missing publications without offsets, which history cannot fill in, and counts from 0 again. */
  takePlain(): number {
    const plain = this.#plain;
    this.#plain = 0;
    return plain;
  }

  /** Drops all offsets before this one, because the worker was sent them or told of them. */
  dropBefore(offset: number): void {
    this.#from = offset > this.#to ? 0 : offset;
    if (this.#from === 0) this.#to = 0;
  }
}

/** A read that the worker requested; `number` is that of its call. */
export interface RequestedRead {
  readonly number: number;
  readonly from: number;
}

/** The calls of the hub that read a channel's history. */
type HistoryReader = Pick<HubFeed, 'fillIn' | 'readHistory'>;

/** Hears of the reads of a {@link WorkerReads}. */
export interface WorkerReadsListener {
  /** The hub has answered a read that the worker requested. */
  onRequested(read: RequestedRead, answer: HistoryAnswer): void;
  /** The hub has answered a read of what the worker missed. */
  onFilledIn(missed: MissedPublications, answer: HistoryAnswer): void;
}

/** The reads of history for one worker, at most one a channel at a time. */
export class WorkerReads {
  readonly #reader: HistoryReader;
  readonly #listener: WorkerReadsListener;
  /** Reads that the worker requested and that have not started. */
  readonly #requested = new Map<string, RequestedRead>();
  /** Channels with a read to start, in the order in which they must start. */
  readonly #toStart = new Set<string>();
  /** Reads that the hub has not answered yet. */
  readonly #underWay = new Map<string, RequestedRead | MissedPublications>();
  readonly #budget: PendingReads;

  /** @param bytes the most that all answers together may take. */
  constructor(reader: HistoryReader, listener: WorkerReadsListener, bytes: number) {
    this.#reader = reader;
    this.#listener = listener;
    this.#budget = new PendingReads(bytes);
  }

  /** Whether no read waits to be started. */
  get isEmpty(): boolean {
    return this.#toStart.size === 0;
  }

  /** Takes a request of the worker; see `Feed.readHistory`. */
  request(channel: string, read: RequestedRead): void {
    this.#requested.set(channel, read);
    this.#toStart.add(channel);
  }

  /** Schedules a read of this channel, to fill in what is missing. */
  schedule(channel: string): void {
    this.#toStart.add(channel);
  }

  /**
   * Starts the reads that may start now. What the worker misses of a channel is read before its own request, which concerns newer
   * publications too.
   *
   * @param freeBytes free room towards the worker; negative for none.
   */
  start(missed: ReadonlyMap<string, MissedPublications>, freeBytes: number): void {
    for (const channel of this.#toStart) {
      if (!this.#budget.mayBegin(freeBytes)) return;
      if (this.#underWay.has(channel)) continue;
      this.#toStart.delete(channel);
      const missing = missed.get(channel);
      const requested = this.#requested.get(channel);
      if (missing !== undefined) this.#fillIn(channel, missing);
      else if (requested !== undefined) this.#read(channel, requested);
    }
  }

  /** Forgets a channel that the worker dropped. An answer to its read is ignored. */
  forget(channel: string): void {
    this.#requested.delete(channel);
    this.#toStart.delete(channel);
    this.#end(channel, undefined);
  }

  #fillIn(channel: string, missed: MissedPublications): void {
    this.#begin(channel, missed);
    this.#reader.fillIn(channel, missed.from, (answer) => {
      if (!this.#finish(channel, missed, answer)) return;
      if (this.#requested.has(channel)) this.#toStart.add(channel);
      this.#listener.onFilledIn(missed, answer);
    });
  }

  #read(channel: string, read: RequestedRead): void {
    this.#requested.delete(channel);
    this.#begin(channel, read);
    this.#reader.readHistory(channel, read.from, (answer) => {
      if (this.#finish(channel, read, answer)) this.#listener.onRequested(read, answer);
    });
  }

  #begin(channel: string, read: RequestedRead | MissedPublications): void {
    this.#underWay.set(channel, read);
    this.#budget.begin();
  }

  /** Ends a read. Returns false if its channel was forgotten meanwhile. */
  #finish(
    channel: string,
    read: RequestedRead | MissedPublications,
    { publications }: HistoryAnswer,
  ): boolean {
    if (this.#underWay.get(channel) !== read) return false;
    this.#end(
      channel,
      publications.reduce((sum, { body }) => sum + body.length, 0),
    );
    return true;
  }

  #end(channel: string, bytes: number | undefined): void {
    if (this.#underWay.delete(channel)) this.#budget.end(bytes);
  }
}
