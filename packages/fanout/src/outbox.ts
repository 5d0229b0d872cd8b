import type { Publication } from './publication.ts';
import { isSlow, lagsTooLong, type Pace, type SlowPolicy } from './slow-policy.ts';

/** What one outbox may hold. */
export interface OutboxLimits {
  /** Publications that may wait: the send queue's slots. */
  readonly slots: number;
  /** Bytes of publications that may wait; at least twice `publicationBytes`. */
  readonly bytes: number;
  /** The largest tail that is ever offered, in bytes. */
  readonly publicationBytes: number;
  /** Control frames that may wait, in slots of their own. */
  readonly controls: number;
  /** Bytes of control frames that may wait. */
  readonly controlBytes: number;
}

/** The `sequence` of an entry that is a control frame. */
export const CONTROL = 0;

/**
 * What became of a publication or a control frame:
 * - `queued`: it waits behind others.
 * - `first`: it waits, and nothing did before: this client is to be flushed.
 * - `brim`: it waits, and the next one may find no room although the socket takes bytes: flush now.
 * - `refused`: there was no room, because the socket does not take bytes. The loss is remembered.
 * - `slow`: refused as well, and the client is to be disconnected.
 */
export type Verdict = 'queued' | 'first' | 'brim' | 'refused' | 'slow';

const LEAST_CAPACITY = 8;
const NO_ENTRIES: (Uint8Array | number | undefined)[] = [];

/**
 * What one client is yet to be sent, in order: references to shared publications, in a bounded
 * number of slots, and control frames between them. It grows with what waits and costs nothing
 * while nothing does.
 *
 * Every publication takes the client's next `seq` when it is offered, also if it is refused, so
 * that loss shows as a hole. After a refusal all further publications are refused until at least
 * half of the room is free again and the losses were taken with {@link takeLosses}: so a gap is
 * told before the next publication of its channel, and once rather than per slot.
 */
export class Outbox {
  /** Whether the socket still holds bytes that the kernel did not take. Its owner keeps this true. */
  blocked = false;

  readonly #limits: OutboxLimits;
  readonly #policy: SlowPolicy;
  readonly #pace: Pace = { refusalsInARow: 0, firstRefusedAt: 0, behindSince: undefined };
  /**
   * A ring whose length is a power of two: each entry is its bytes and behind them its `seq`, so that
   * a delivery touches one cache line of it. The next entry is at `#head`.
   */
  #ring = NO_ENTRIES;
  #head = 0;
  #size = 0;
  #publications = 0;
  #bytes = 0;
  #controlBytes = 0;
  #lastSequence = 0;
  #losses: Map<string, number> | undefined;

  constructor(limits: OutboxLimits, policy: SlowPolicy) {
    this.#limits = limits;
    this.#policy = policy;
  }

  /** Entries that wait: publications and control frames. */
  get size(): number {
    return this.#size;
  }

  /** Publications that wait; never more than the limit's slots. */
  get depth(): number {
    return this.#publications;
  }

  /** Bytes of the publications that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The `seq` that the latest publication took; 0 before the first. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /**
   * Gives a publication the next `seq` and queues it, if there is room.
   *
   * @param now ms on the clock that all calls share.
   */
  offer(publication: Publication, now: number): Verdict {
    const { tail } = publication;
    this.#lastSequence += 1;
    if (
      this.#losses !== undefined ||
      this.#publications >= this.#limits.slots ||
      this.#bytes + tail.length > this.#limits.bytes
    ) {
      return this.#refuse(publication.channel, now);
    }
    this.#push(tail, this.#lastSequence);
    if (this.#publications === 0) this.#pace.behindSince = now;
    this.#publications += 1;
    this.#bytes += tail.length;
    if (!this.blocked && this.#isBrimming()) return 'brim';
    return this.#size === 1 ? 'first' : 'queued';
  }

  /**
   * Queues a control frame, in order with the publications but in slots of its own. `slow` means
   * that the client asks faster than it reads the answers: the frame was not queued.
   */
  offerControl(frame: Uint8Array): Exclude<Verdict, 'refused'> {
    const controls = this.#size - this.#publications;
    if (
      controls >= this.#limits.controls ||
      this.#controlBytes + frame.length > this.#limits.controlBytes
    ) {
      return 'slow';
    }
    this.#push(frame, CONTROL);
    this.#controlBytes += frame.length;
    if (!this.blocked && this.#isBrimmingWithControls()) return 'brim';
    return this.#size === 1 ? 'first' : 'queued';
  }

  /**
   * Remembers that publications of a channel are missing and that nobody knows how many. What is
   * offered from here on is refused, as after any loss, until {@link takeLosses} has told of it.
   */
  lose(channel: string): void {
    this.#losses ??= new Map();
    this.#losses.set(channel, Number.NaN);
  }

  /** The next entry's bytes, or undefined when nothing waits: a publication's tail or a control frame. */
  peek(): Uint8Array | undefined {
    return this.#size === 0 ? undefined : (this.#ring[this.#head] as Uint8Array);
  }

  /** The next entry's `seq`, or {@link CONTROL}. Only meaningful while something waits. */
  peekSequence(): number {
    return this.#ring[this.#head + 1] as number;
  }

  /** Drops the next entry, which its owner has written. Throws if nothing waits. */
  shift(): void {
    // Read before anything is written: all empty outboxes share one ring of no entries.
    const { length } = this.#ring[this.#head] as Uint8Array;
    this.#ring[this.#head] = undefined;
    if (this.#ring[this.#head + 1] === CONTROL) {
      this.#controlBytes -= length;
    } else {
      this.#bytes -= length;
      this.#publications -= 1;
      if (this.#publications === 0) this.#pace.behindSince = undefined;
    }
    this.#head = (this.#head + 2) & (this.#ring.length - 1);
    this.#size -= 1;
  }

  /**
   * What was lost since the last call, as channel → number of publications (NaN: nobody knows), once there is room
   * to go on: then the caller queues a `gap` for each before it offers anything else. Undefined
   * when nothing was lost or when it is too early.
   */
  takeLosses(): Map<string, number> | undefined {
    if (this.#losses === undefined) return undefined;
    if (this.#publications > this.#limits.slots / 2) return undefined;
    if (this.#bytes > this.#limits.bytes / 2) return undefined;
    if (this.#size - this.#publications > this.#limits.controls / 2) return undefined;
    const losses = this.#losses;
    this.#losses = undefined;
    this.#pace.refusalsInARow = 0;
    return losses;
  }

  /** Whether publications have waited too long. For clients to whom nothing new is offered. */
  isLate(now: number): boolean {
    return lagsTooLong(this.#pace, this.#policy, now);
  }

  /** Gives back the memory that a past burst needed. Does nothing while something waits. */
  trim(): void {
    if (this.#size > 0) return;
    this.#ring = NO_ENTRIES;
    this.#head = 0;
  }

  /** Forgets all that waits. */
  clear(): void {
    while (this.#size > 0) this.shift();
    this.#losses = undefined;
    this.#pace.refusalsInARow = 0;
    this.trim();
  }

  #isBrimming(): boolean {
    return (
      this.#publications >= this.#limits.slots ||
      this.#bytes + this.#limits.publicationBytes > this.#limits.bytes
    );
  }

  #isBrimmingWithControls(): boolean {
    return (
      (this.#size - this.#publications) * 2 >= this.#limits.controls ||
      this.#controlBytes * 2 >= this.#limits.controlBytes
    );
  }

  #refuse(channel: string, now: number): 'refused' | 'slow' {
    this.#losses ??= new Map();
    this.#losses.set(channel, (this.#losses.get(channel) ?? 0) + 1);
    if (!this.blocked) return 'refused';
    if (this.#pace.refusalsInARow === 0) this.#pace.firstRefusedAt = now;
    this.#pace.refusalsInARow += 1;
    return isSlow(this.#pace, this.#policy, now) ? 'slow' : 'refused';
  }

  #push(frame: Uint8Array, sequence: number): void {
    if (2 * this.#size === this.#ring.length) this.#grow();
    const at = (this.#head + 2 * this.#size) & (this.#ring.length - 1);
    this.#ring[at] = frame;
    this.#ring[at + 1] = sequence;
    this.#size += 1;
  }

  #grow(): void {
    const held = this.#ring;
    const ring = new Array<Uint8Array | number | undefined>(
      Math.max(2 * LEAST_CAPACITY, 2 * held.length),
    );
    for (let i = 0; i < held.length; i += 1) ring[i] = held[(this.#head + i) & (held.length - 1)];
    for (let i = held.length; i < ring.length; i += 1) ring[i] = undefined;
    this.#ring = ring;
    this.#head = 0;
  }
}
