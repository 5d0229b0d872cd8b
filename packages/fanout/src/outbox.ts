import { Backlog, type EpochChange, type Loss, type Replay } from './backlog.ts';
import type { Publication } from './publication.ts';
import type { PublicationLog } from './publication-log.ts';
import { hasStruckOut, lagsTooLong, type Pace, type SlowPolicy } from './slow-policy.ts';
import type { WaitingFrames } from './waiting-frames.ts';

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

/** Entries for which a client that receives something every now and then may keep room: 1 KB. */
const KEPT_CAPACITY = 64;

/** Two cache lines: the processor fetches the second by itself. */
const TOUCH_STRIDE_BYTES = 128;

/**
 * Publications of the log that one {@link Outbox.catchUp} looks at; most may be of channels that this
 * client does not receive. So one client that is far behind does not hold up the others.
 */
const CATCH_UP_LOOKS = 4_096;
const NO_ENTRIES: number[] = [];

/** Where the entries of an outbox go. It must neither throw nor offer anything to the outbox. */
export interface EntryTaker {
  /**
   * Takes a publication's tail or a control frame, or returns false.
   *
   * @param sequence the publication's `seq`, or {@link CONTROL}.
   */
  take(frame: Uint8Array, sequence: number): boolean;
}

const TAKE_ALL: EntryTaker = { take: () => true };

/**
 * What one client is yet to be sent, in order: references to shared publications, in a bounded
 * number of slots, and control frames between them. It grows with what waits and costs nothing
 * while nothing does.
 *
 * Every publication takes the client's next `seq` when it is offered, also if it is refused. After a
 * refusal all further publications are refused, and remembered as a place in the worker's log, until
 * the client has been given what it missed ({@link catchUp}) as far as the log still holds it. The
 * rest, a hole in `seq`, is told before the next publication of its channel, and once rather than per
 * slot ({@link takeLosses}).
 */
export class Outbox {
  // What a delivery needs comes first, so that it lies in as few cache lines as can be.

  /** Whether the socket still holds bytes that the kernel did not take. Its owner keeps this true. */
  blocked = false;
  #lastSequence = 0;
  #backlog: Backlog | undefined;
  #publications = 0;
  #bytes = 0;
  #size = 0;
  #head = 0;
  /**
   * A ring whose length is a power of two: each entry is the number of its frame and behind it its `seq`,
   * so that a delivery touches one cache line of it. The next entry is at `#head`.
   */
  #ring = NO_ENTRIES;
  readonly #frames: WaitingFrames;
  readonly #limits: OutboxLimits;

  readonly #policy: SlowPolicy;
  readonly #log: PublicationLog;
  readonly #pace: Pace = { refusalsInARow: 0, firstRefusedAt: 0, behindSince: undefined };
  #controlBytes = 0;
  #sequenceAtTrim = 0;
  /** Whether it was spared for its lag since it last kept up. */
  #isSpared = false;

  /**
   * @param log holds each publication before it is offered.
   * @param frames where what waits is held, for all outboxes of a worker.
   */
  constructor(
    limits: OutboxLimits,
    policy: SlowPolicy,
    log: PublicationLog,
    frames: WaitingFrames,
  ) {
    this.#frames = frames;
    this.#limits = limits;
    this.#policy = policy;
    this.#log = log;
  }

  /** Entries that wait: publications and control frames. */
  get size(): number {
    return this.#size;
  }

  /** Entries for which it has memory at the moment. */
  get capacity(): number {
    return this.#ring.length / 2;
  }

  /** Publications that wait; never more than the limit's slots. */
  get depth(): number {
    return this.#publications;
  }

  /** Bytes of the publications that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether publications were refused that the client was neither given nor told of yet. */
  get isBehind(): boolean {
    return this.#backlog !== undefined;
  }

  /** The `seq` that the latest publication took; 0 before the first. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /**
   * Gives a publication, the latest in the log, the next `seq` and queues it, if there is room.
   *
   * @param now ms on the clock that all calls share.
   */
  offer(publication: Publication, now: number): Verdict {
    const { tail } = publication;
    this.#lastSequence += 1;
    if (this.#backlog !== undefined || !this.#hasRoomFor(publication)) {
      return this.#refuse(publication, now);
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
   * Remembers that publications of a channel are missing which were never offered: so many, or nobody
   * knows how many (NaN), and their offsets, if they have any. What is offered from here on is refused, as
   * after any loss, until {@link takeLosses} has told of it.
   */
  lose(channel: string, lost = Number.NaN, from = 0, to = 0): void {
    this.#backlog ??= new Backlog(this.#log);
    this.#backlog.lose(channel, lost, from, to);
  }

  /**
   * The channel begins a new epoch, and the client misses publications of the one before: that is told
   * first, by {@link takeLosses}.
   */
  resync(channel: string, change: EpochChange): void {
    this.#backlog ??= new Backlog(this.#log);
    this.#backlog.resync(channel, change);
  }

  /**
   * Promises stretches of the log, in the order of their numbers: they take the client's next numbers, and
   * are queued by {@link catchUp} before anything that is offered from here on. To be followed by a flush.
   */
  replay(stretches: readonly Replay[]): void {
    for (const stretch of stretches) {
      if (stretch.count === 0) continue;
      this.#backlog ??= new Backlog(this.#log);
      this.#backlog.owe(stretch);
      this.#lastSequence += stretch.count;
    }
  }

  /** The client no longer receives a channel: what it was refused of it is never given to it. */
  leave(channel: string): void {
    this.#backlog?.leave(channel);
  }

  /** Whether publications of this channel were refused that it was neither given nor told of yet. */
  misses(channel: string): boolean {
    return this.#backlog?.misses(channel) === true;
  }

  /** The next entry's bytes, or undefined when nothing waits: a publication's tail or a control frame. */
  peek(): Uint8Array | undefined {
    return this.#size === 0 ? undefined : this.#frames.at(this.#ring[this.#head] as number);
  }

  /** The next entry's `seq`, or {@link CONTROL}. Only meaningful while something waits. */
  peekSequence(): number {
    return this.#ring[this.#head + 1] as number;
  }

  /**
   * Reads a byte out of every cache line or two of what the next entries refer to, up to `bytes`, and
   * returns their sum, which means nothing. Publications that many clients share have long left the processor's
   * caches when a client's turn comes; asked for all at once, memory answers in the time of one.
   */
  touch(bytes: number): number {
    let at = this.#head;
    let left = bytes;
    let sum = 0;
    for (let i = 0; i < this.#size && left > 0; i += 1) {
      const frame = this.#frames.at(this.#ring[at] as number);
      left -= frame.length;
      for (let j = 0; j < frame.length; j += TOUCH_STRIDE_BYTES) sum += frame[j] as number;
      at = (at + 2) & (this.#ring.length - 1);
    }
    return sum;
  }

  /** Reads where the next entry is and returns a number that means nothing: for whoever will need it soon. */
  touchNext(): number {
    return (this.#ring[this.#head] ?? 0) + this.#size;
  }

  /** Hands the next entries over, oldest first, until one is not taken or nothing waits. */
  drainInto(taker: EntryTaker): void {
    const ring = this.#ring;
    const frames = this.#frames;
    let at = this.#head;
    let left = this.#size;
    let publications = 0;
    let bytes = 0;
    for (; left > 0; left -= 1) {
      const number = ring[at] as number;
      const sequence = ring[at + 1] as number;
      const frame = frames.at(number);
      if (!taker.take(frame, sequence)) break;
      frames.release(number);
      if (sequence === CONTROL) {
        this.#controlBytes -= frame.length;
      } else {
        publications += 1;
        bytes += frame.length;
      }
      at = (at + 2) & (ring.length - 1);
    }
    this.#head = at;
    this.#size = left;
    this.#publications -= publications;
    this.#bytes -= bytes;
    if (publications > 0 && this.#publications === 0 && this.#backlog === undefined) {
      this.#keepsUp();
    }
  }

  /**
   * What was lost since the last call, once there is room to go on: then the caller queues a `gap` for
   * each, in order, before it does anything else. Undefined when nothing was lost, when the log still holds
   * it, or when it is too early.
   */
  takeLosses(): readonly Loss[] | undefined {
    if (this.#backlog === undefined || !this.#isHalfFree()) return undefined;
    const losses = this.#backlog.takeLosses();
    this.#settleBacklog();
    return losses;
  }

  /**
   * Queues what was refused and the log still holds, once there is room, each under the `seq` that it
   * took when it was refused. Call it after the gaps of {@link takeLosses} were queued. Returns how
   * many were queued; {@link isBehind} tells whether there may be more.
   */
  catchUp(): number {
    const backlog = this.#backlog;
    if (backlog === undefined || !this.#isHalfFree()) return 0;
    const end = backlog.position + CATCH_UP_LOOKS;
    let queued = 0;
    for (;;) {
      const publication = backlog.peek(end);
      if (publication === undefined || !this.#hasRoomFor(publication)) break;
      this.#push(publication.tail, this.#lastSequence - backlog.owed + 1);
      backlog.shift();
      this.#publications += 1;
      this.#bytes += publication.tail.length;
      queued += 1;
    }
    if (queued > 0) this.#pace.refusalsInARow = 0;
    this.#settleBacklog();
    return queued;
  }

  /**
   * Whether publications have waited too long. A client that is too late but has lost nothing yet is
   * spared once, until it keeps up: it is told what it missed instead of being given it, and goes on
   * from there.
   */
  isLate(now: number): boolean {
    if (!lagsTooLong(this.#pace, this.#policy, now)) return false;
    if (this.#isSpared || this.#backlog?.isWhole !== true) return true;
    this.#isSpared = true;
    this.#backlog.forsake();
    this.#pace.behindSince = now;
    return false;
  }

  /**
   * Gives back the memory that a past burst needed, unless something waits. To be called from time to
   * time: little memory is kept for a client that was offered something since the last call.
   */
  trim(): void {
    const isInUse = this.#lastSequence !== this.#sequenceAtTrim;
    this.#sequenceAtTrim = this.#lastSequence;
    if (this.#size > 0 || (isInUse && this.#ring.length <= 2 * KEPT_CAPACITY)) return;
    this.#forgetRing();
  }

  /** Forgets all that waits. */
  clear(): void {
    this.#backlog = undefined;
    this.drainInto(TAKE_ALL);
    this.#pace.refusalsInARow = 0;
    this.#keepsUp();
    this.#forgetRing();
  }

  #forgetRing(): void {
    this.#ring = NO_ENTRIES;
    this.#head = 0;
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

  #hasRoomFor({ tail }: Publication): boolean {
    return (
      this.#publications < this.#limits.slots && this.#bytes + tail.length <= this.#limits.bytes
    );
  }

  #isHalfFree(): boolean {
    return (
      this.#publications <= this.#limits.slots / 2 &&
      this.#bytes <= this.#limits.bytes / 2 &&
      this.#size - this.#publications <= this.#limits.controls / 2
    );
  }

  /** Ends the backlog when nothing of it is left: from here on what is offered is queued again. */
  #settleBacklog(): void {
    if (this.#backlog?.isOver !== true) return;
    this.#backlog = undefined;
    this.#pace.refusalsInARow = 0;
    if (this.#publications === 0) this.#keepsUp();
  }

  #keepsUp(): void {
    this.#pace.behindSince = undefined;
    this.#isSpared = false;
  }

  #refuse(publication: Publication, now: number): 'refused' | 'slow' {
    this.#backlog ??= new Backlog(this.#log);
    this.#backlog.refuse(publication);
    if (!this.blocked) return 'refused';
    if (this.#pace.refusalsInARow === 0) this.#pace.firstRefusedAt = now;
    this.#pace.refusalsInARow += 1;
    const isStruckOut = hasStruckOut(this.#pace, this.#policy, now);
    return isStruckOut || this.isLate(now) ? 'slow' : 'refused';
  }

  #push(frame: Uint8Array, sequence: number): void {
    if (2 * this.#size === this.#ring.length) this.#grow();
    const at = (this.#head + 2 * this.#size) & (this.#ring.length - 1);
    this.#ring[at] = this.#frames.hold(frame);
    this.#ring[at + 1] = sequence;
    this.#size += 1;
  }

  #grow(): void {
    const held = this.#ring;
    const ring = new Array<number>(Math.max(2 * LEAST_CAPACITY, 2 * held.length)).fill(0);
    for (let i = 0; i < held.length; i += 1) {
      ring[i] = held[(this.#head + i) & (held.length - 1)] as number;
    }
    this.#ring = ring;
    this.#head = 0;
  }
}
