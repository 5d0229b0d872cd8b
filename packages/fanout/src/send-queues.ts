import type { QueueOutcomes } from './queue-outcomes.ts';
import { INTEGERS_PER_SLAB, SlabMemory } from './slab-memory.ts';
import { WaitingFrames } from './waiting-frames.ts';

/** What one outbox may hold. */
export interface OutboxLimits {
  /** How many publications may wait: the send queue's slots. */
  readonly slots: number;
  /** How many bytes of publications may wait; at least twice `publicationBytes`. */
  readonly bytes: number;
  /** The largest body that is ever offered, in bytes. */
  readonly publicationBytes: number;
  /** How many control frames may wait, in slots of their own. */
  readonly controls: number;
  /** How many bytes of control frames may wait. */
  readonly controlBytes: number;
}

/** The `sequence` of an entry that is a control frame. */
export const CONTROL = 0;

/** Takes the entries of a queue. It must neither throw nor change the queue. */
export interface EntryTaker {
  /**
   * Takes a publication's body or a control frame. Returns false if it leaves the entry in the queue.
   *
   * @param sequence the publication's `seq`, or {@link CONTROL}.
   */
  take(frame: Uint8Array, sequence: number): boolean;
}

// The record of a queue that a delivery needs, as integers of 32 bits.
/** The low 32 bits of the `seq` that the latest publication took. */
const SEQUENCE_LOW = 0;
/** {@link BLOCKED} and {@link BEHIND}. */
const FLAGS = 1;
const PUBLICATIONS = 2;
const BYTES = 3;
/** How many entries wait: publications and control frames. */
const SIZE = 4;
/** The number of the block with the queue's entries, the block's length less one (-1: there is no block), and the index of the next entry in it. */
const BLOCK = 5;
const MASK = 6;
const HEAD = 7;
const INTEGERS_PER_QUEUE = 8;

// The annex of a queue, which is seldom needed.
/** The bits of the latest `seq` above the low 32. */
const SEQUENCE_HIGH = 0;
const CONTROL_BYTES = 1;
/** What {@link SEQUENCE_LOW} was at the last trim. */
const SEQUENCE_AT_TRIM = 2;
const INTEGERS_PER_ANNEX = 3;

const BLOCKED = 1;
const BEHIND = 2;

/** An entry is the number of its frame and its `seq`. The number is the complement, and so negative, for a control frame. */
const INTEGERS_PER_ENTRY = 2;
const LEAST_BLOCK = 8 * INTEGERS_PER_ENTRY;

/** The longest block that a client may keep while it receives something every now and then: 64 entries, 512 bytes. */
const KEPT_BLOCK = 64 * INTEGERS_PER_ENTRY;

/** The most entries that one queue can hold. The slots and control frames of its limits together must not be more. */
export const MOST_QUEUE_ENTRIES = INTEGERS_PER_SLAB / INTEGERS_PER_ENTRY;

const LEAST_QUEUES = 64;
const TWO_TO_32 = 2 ** 32;

/** Two cache lines, because the processor prefetches the second one by itself. */
const TOUCH_STRIDE_BYTES = 128;

/** How many queues an offer prefetches at once. With their entries they fit into a core's second-level cache. */
const QUEUES_TOUCHED = 256;

/** This many queues with their entries stay in a core's second-level cache, of 512 KiB and more, from one offer to the next. */
const QUEUES_KEPT = 2_048;

/** The id of a queue that was removed. Operations on it have no effect. */
const NO_QUEUE = 0;

/**
 * The send queues of all clients of one worker, side by side in few pieces of memory. Each queue has an id.
 *
 * With thousands of clients no part of a queue is in the processor's caches when its turn comes, and most of a delivery's time
 * was spent waiting for memory. Two things keep that short:
 * - A delivery touches few cache lines: one or two of the queue's record, one of its entries, and one of `#behindSince` if
 *   the queue was empty. It touches nothing else of the client.
 * - Loops that do nothing else (`touch…`) read memory before it is needed, so that a dozen queues or frames arrive in the
 *   time of one. They add what they read to `#touched`, only so that V8 does not remove them.
 */
export class SendQueues {
  readonly limits: OutboxLimits;
  readonly #frames = new WaitingFrames();
  readonly #slabs = new SlabMemory();
  #queues = new Int32Array(LEAST_QUEUES * INTEGERS_PER_QUEUE);
  #annexes = new Int32Array(LEAST_QUEUES * INTEGERS_PER_ANNEX);
  #behindSince = new Float64Array(LEAST_QUEUES);
  readonly #free: number[] = [];
  #unused = NO_QUEUE + 1;
  /** The queues of the latest offer, which are still in the caches; undefined once something was drained since. */
  #lastQueueIds: readonly number[] | undefined;
  /** Never read: it only keeps V8 from removing the loops that prefetch. */
  #touched = 0;

  constructor(limits: OutboxLimits) {
    this.limits = limits;
    this.#queues[NO_QUEUE * INTEGERS_PER_QUEUE + MASK] = -1;
    this.#behindSince[NO_QUEUE] = Number.NaN;
  }

  /** How many frames wait in any of the queues. Each is counted once. */
  get frames(): number {
    return this.#frames.size;
  }

  /** Makes an empty queue and returns its id, which is the caller's until it calls {@link removeQueue}. */
  addQueue(): number {
    const queueId = this.#free.pop() ?? this.#unused;
    if (queueId === this.#unused) this.#unused += 1;
    const at = queueId * INTEGERS_PER_QUEUE;
    if (at === this.#queues.length) {
      this.#queues = copyInto(new Int32Array(2 * this.#queues.length), this.#queues);
      this.#annexes = copyInto(new Int32Array(2 * this.#annexes.length), this.#annexes);
      this.#behindSince = copyInto(
        new Float64Array(2 * this.#behindSince.length),
        this.#behindSince,
      );
    }
    const annex = queueId * INTEGERS_PER_ANNEX;
    this.#queues.fill(0, at, at + INTEGERS_PER_QUEUE);
    this.#annexes.fill(0, annex, annex + INTEGERS_PER_ANNEX);
    this.#queues[at + MASK] = -1;
    this.#behindSince[queueId] = Number.NaN;
    return queueId;
  }

  /** Removes a queue with all that waits in it. Returns the id of a removed queue, which the owner must keep instead. */
  removeQueue(queueId: number): number {
    if (queueId === NO_QUEUE) return NO_QUEUE;
    this.clear(queueId);
    this.#free.push(queueId);
    return NO_QUEUE;
  }

  /** How many entries wait: publications and control frames. */
  size(queueId: number): number {
    return this.#get(queueId, SIZE);
  }

  /** How many publications wait. */
  publications(queueId: number): number {
    return this.#get(queueId, PUBLICATIONS);
  }

  /** How many bytes of publications wait. */
  bytes(queueId: number): number {
    return this.#get(queueId, BYTES);
  }

  /** How many bytes of control frames wait. */
  controlBytes(queueId: number): number {
    return this.#annexes[queueId * INTEGERS_PER_ANNEX + CONTROL_BYTES] as number;
  }

  /** How many entries the queue has memory for at the moment. */
  capacity(queueId: number): number {
    return (this.#get(queueId, MASK) + 1) / INTEGERS_PER_ENTRY;
  }

  /** The `seq` that the latest publication took; 0 before the first. */
  lastSequence(queueId: number): number {
    const high = this.#annexes[queueId * INTEGERS_PER_ANNEX + SEQUENCE_HIGH] as number;
    return (this.#get(queueId, SEQUENCE_LOW) >>> 0) + high * TWO_TO_32;
  }

  /** Reserves `count` sequence numbers for a replay. */
  reserveSequences(queueId: number, count: number): void {
    const sequence = this.lastSequence(queueId) + count;
    this.#queues[queueId * INTEGERS_PER_QUEUE + SEQUENCE_LOW] = (sequence % TWO_TO_32) | 0;
    this.#annexes[queueId * INTEGERS_PER_ANNEX + SEQUENCE_HIGH] = Math.floor(sequence / TWO_TO_32);
  }

  /** Whether the socket still holds bytes that the kernel did not take. */
  isBlocked(queueId: number): boolean {
    return (this.#get(queueId, FLAGS) & BLOCKED) !== 0;
  }

  /** See {@link isBlocked}. The queue's owner keeps it up to date. */
  setBlocked(queueId: number, isBlocked: boolean): void {
    this.#flag(queueId, BLOCKED, isBlocked);
  }

  /**
   * When publications began to wait, in ms on the clock of the offers; NaN while none waits. The owner must reset it when none
   * waits any more, because publications that wait for room in the queue count too.
   */
  behindSince(queueId: number): number {
    return this.#behindSince[queueId] as number;
  }

  /** See {@link behindSince}. */
  setBehindSince(queueId: number, since: number): void {
    this.#behindSince[queueId] = since;
  }

  /** Sets whether the queue refuses every publication that is offered. */
  setBehind(queueId: number, isBehind: boolean): void {
    this.#flag(queueId, BEHIND, isBehind);
  }

  /**
   * Takes the next `seq` of each of these queues for a publication's body, and queues the body where there is room.
   *
   * @param queueIds each at most once.
   * @param now ms on the clock that all calls share.
   * @param outcomes gets a verdict for each queue in which the body does not simply wait behind others.
   */
  offer(queueIds: readonly number[], body: Uint8Array, now: number, outcomes: QueueOutcomes): void {
    const queues = this.#queues;
    const behindSince = this.#behindSince;
    const frames = this.#frames;
    const { slots, bytes: mostBytes, publicationBytes } = this.limits;
    const { length } = body;
    const frame = frames.hold(body);
    let queued = 0;
    const mayBeCold = queueIds !== this.#lastQueueIds || queueIds.length > QUEUES_KEPT;
    this.#lastQueueIds = queueIds;
    for (let i = 0; i < queueIds.length; i += 1) {
      if (mayBeCold && i % QUEUES_TOUCHED === 0) this.#touchQueues(queueIds, i, i + QUEUES_TOUCHED);
      const at = (queueIds[i] as number) * INTEGERS_PER_QUEUE;
      const sequence = ((queues[at + SEQUENCE_LOW] as number) + 1) | 0;
      queues[at + SEQUENCE_LOW] = sequence;
      if (sequence === 0) this.#addToAnnex(queueIds[i] as number, SEQUENCE_HIGH, 1);
      const flags = queues[at + FLAGS] as number;
      const publications = (queues[at + PUBLICATIONS] as number) + 1;
      const bytes = (queues[at + BYTES] as number) + length;
      if ((flags & BEHIND) !== 0 || publications > slots || bytes > mostBytes) {
        outcomes.add(i, 'refused');
        continue;
      }
      queues[at + PUBLICATIONS] = publications;
      queues[at + BYTES] = bytes;
      this.#push(at, frame, sequence);
      queued += 1;
      if (publications === 1) behindSince[queueIds[i] as number] = now;
      const isFull = publications >= slots || bytes + publicationBytes > mostBytes;
      if (isFull && (flags & BLOCKED) === 0) outcomes.add(i, 'nearlyFull');
      else if (queues[at + SIZE] === 1) outcomes.add(i, 'wasIdle');
    }
    frames.hold(body, queued);
    frames.release(frame);
  }

  /** Whether the queue has room for a publication with this body. */
  hasRoomFor(queueId: number, body: Uint8Array): boolean {
    return (
      this.#get(queueId, PUBLICATIONS) < this.limits.slots &&
      this.#get(queueId, BYTES) + body.length <= this.limits.bytes
    );
  }

  /** Queues a publication's body under a `seq` that was reserved before. The caller must check that there is room. */
  pushPublication(queueId: number, body: Uint8Array, sequence: number): void {
    const at = queueId * INTEGERS_PER_QUEUE;
    this.#add(at, PUBLICATIONS, 1);
    this.#add(at, BYTES, body.length);
    this.#push(at, this.#frames.hold(body), (sequence % TWO_TO_32) | 0);
  }

  /** Queues a control frame. The caller must check that there is room. */
  pushControl(queueId: number, frame: Uint8Array): void {
    const at = queueId * INTEGERS_PER_QUEUE;
    this.#addToAnnex(queueId, CONTROL_BYTES, frame.length);
    this.#push(at, ~this.#frames.hold(frame), CONTROL);
  }

  /** The next entry's bytes, or undefined when nothing waits. */
  peek(queueId: number): Uint8Array | undefined {
    const at = queueId * INTEGERS_PER_QUEUE;
    if (this.#queues[at + SIZE] === 0) return undefined;
    const block = this.#queues[at + BLOCK] as number;
    const entries = this.#slabs.at(block);
    const from = this.#slabs.offset(block);
    return this.#frames.at(frameOf(entries[from + (this.#queues[at + HEAD] as number)] as number));
  }

  /** Prefetches the next entry. The return value means nothing; use it so that V8 does not remove the call. */
  touchNext(queueId: number): number {
    const at = queueId * INTEGERS_PER_QUEUE;
    if (this.#queues[at + SIZE] === 0) return 0;
    const block = this.#queues[at + BLOCK] as number;
    return this.#slabs.at(block)[
      this.#slabs.offset(block) + (this.#queues[at + HEAD] as number)
    ] as number;
  }

  /**
   * Hands over the next entries, oldest first, until one is not taken or nothing waits. Returns how many publications
   * were taken.
   *
   * @param aheadBytes how many bytes of the next frames to prefetch before they are handed over.
   */
  drainInto(queueId: number, taker: EntryTaker, aheadBytes = 0): number {
    const queues = this.#queues;
    const frames = this.#frames;
    const at = queueId * INTEGERS_PER_QUEUE;
    const mask = queues[at + MASK] as number;
    if (mask === -1) return 0;
    this.#lastQueueIds = undefined;
    const block = queues[at + BLOCK] as number;
    const entries = this.#slabs.at(block);
    const from = this.#slabs.offset(block);
    const last = this.lastSequence(queueId);
    let head = queues[at + HEAD] as number;
    let left = queues[at + SIZE] as number;
    let publications = 0;
    let bytes = 0;
    let controlBytes = 0;
    let ahead = aheadBytes > 0 ? 0 : left;
    for (; left > 0; left -= 1) {
      if (ahead === 0) ahead = this.#touchFrames(entries, from, head, mask, left, aheadBytes);
      ahead -= 1;
      const number = entries[from + head] as number;
      const low = entries[from + head + 1] as number;
      const frame = frames.at(frameOf(number));
      if (number < 0) {
        if (!taker.take(frame, CONTROL)) break;
        controlBytes += frame.length;
      } else {
        if (!taker.take(frame, last - ((last - low) >>> 0))) break;
        publications += 1;
        bytes += frame.length;
      }
      frames.release(frameOf(number));
      head = (head + INTEGERS_PER_ENTRY) & mask;
    }
    queues[at + HEAD] = head;
    queues[at + SIZE] = left;
    this.#add(at, PUBLICATIONS, -publications);
    this.#add(at, BYTES, -bytes);
    if (controlBytes > 0) this.#addToAnnex(queueId, CONTROL_BYTES, -controlBytes);
    return publications;
  }

  /** Drops all that waits, and gives back the memory for its entries. */
  clear(queueId: number): void {
    this.drainInto(queueId, TAKE_ALL);
    this.giveBackBlock(queueId);
  }

  /** Gives back the memory for the entries of an empty queue. */
  giveBackBlock(queueId: number): void {
    const at = queueId * INTEGERS_PER_QUEUE;
    if (this.#queues[at + MASK] !== -1) this.#slabs.giveBack(this.#queues[at + BLOCK] as number);
    this.#queues[at + MASK] = -1;
    this.#queues[at + HEAD] = 0;
  }

  /** Bytes of memory for the entries of all queues, in use or not, without the frames that the entries refer to. */
  get entryBytes(): number {
    return this.#slabs.bytes;
  }

  /**
   * Gives back the memory that a past burst needed. A queue in which something waits keeps all its memory, a queue that was
   * offered something since its last trim keeps a little, and the others keep none. Call it from time to time, for one part of
   * the queues after the other, so that no call takes long.
   *
   * @param part 0 ≤ part < parts. After the last part all queues were trimmed.
   */
  trim(part = 0, parts = 1): void {
    const queues = this.#queues;
    const annexes = this.#annexes;
    const until = Math.ceil((this.#unused * (part + 1)) / parts);
    for (let queueId = Math.ceil((this.#unused * part) / parts); queueId < until; queueId += 1) {
      const at = queueId * INTEGERS_PER_QUEUE;
      const mask = queues[at + MASK] as number;
      if (mask === -1) continue;
      const annex = queueId * INTEGERS_PER_ANNEX + SEQUENCE_AT_TRIM;
      const isInUse = queues[at + SEQUENCE_LOW] !== annexes[annex];
      annexes[annex] = queues[at + SEQUENCE_LOW] as number;
      if (queues[at + SIZE] !== 0 || (isInUse && mask < KEPT_BLOCK)) continue;
      this.giveBackBlock(queueId);
    }
    if (part === parts - 1) this.#slabs.trim();
  }

  /** The most publications that wait in any one queue, and the most bytes of them. */
  fullest(): { readonly publications: number; readonly bytes: number } {
    const queues = this.#queues;
    let publications = 0;
    let bytes = 0;
    for (let at = 0; at < this.#unused * INTEGERS_PER_QUEUE; at += INTEGERS_PER_QUEUE) {
      publications = Math.max(publications, queues[at + PUBLICATIONS] as number);
      bytes = Math.max(bytes, queues[at + BYTES] as number);
    }
    return { publications, bytes };
  }

  /** Prefetches what an offer to these queues will read and write: writes to sockets have pushed it out of the caches. */
  #touchQueues(queueIds: readonly number[], from: number, to: number): void {
    const queues = this.#queues;
    const slabs = this.#slabs;
    const until = Math.min(to, queueIds.length);
    let sum = 0;
    for (let i = from; i < until; i += 1) {
      // A queue may begin in the middle of a cache line.
      const at = (queueIds[i] as number) * INTEGERS_PER_QUEUE;
      sum += (queues[at] as number) + (queues[at + INTEGERS_PER_QUEUE - 1] as number);
    }
    for (let i = from; i < until; i += 1) {
      const at = (queueIds[i] as number) * INTEGERS_PER_QUEUE;
      const mask = queues[at + MASK] as number;
      if (mask === -1) continue;
      const block = queues[at + BLOCK] as number;
      const behind =
        (queues[at + HEAD] as number) + (queues[at + SIZE] as number) * INTEGERS_PER_ENTRY;
      sum += slabs.at(block)[slabs.offset(block) + (behind & mask)] as number;
    }
    this.#touched ^= sum;
  }

  /** Prefetches the next frames, up to `aheadBytes`. Returns how many frames that is. */
  #touchFrames(
    entries: Int32Array,
    from: number,
    head: number,
    mask: number,
    waiting: number,
    aheadBytes: number,
  ): number {
    const frames = this.#frames;
    let next = head;
    let read = 0;
    let sum = 0;
    let count = 0;
    while (count < waiting && read < aheadBytes) {
      const frame = frames.at(frameOf(entries[from + next] as number));
      const { length } = frame;
      for (let i = 0; i < length; i += TOUCH_STRIDE_BYTES) sum += frame[i] as number;
      next = (next + INTEGERS_PER_ENTRY) & mask;
      read += length;
      count += 1;
    }
    this.#touched ^= sum;
    return count;
  }

  #push(at: number, frame: number, sequence: number): void {
    const queues = this.#queues;
    const size = queues[at + SIZE] as number;
    if (size * INTEGERS_PER_ENTRY > (queues[at + MASK] as number)) this.#grow(at);
    const mask = queues[at + MASK] as number;
    const block = queues[at + BLOCK] as number;
    const entry =
      this.#slabs.offset(block) +
      (((queues[at + HEAD] as number) + size * INTEGERS_PER_ENTRY) & mask);
    const memory = this.#slabs.at(block);
    memory[entry] = frame;
    memory[entry + 1] = sequence;
    queues[at + SIZE] = size + 1;
  }

  #grow(at: number): void {
    const queues = this.#queues;
    const held = (queues[at + MASK] as number) + 1;
    const grown = this.#slabs.take(Math.max(LEAST_BLOCK, 2 * held));
    if (held > 0) {
      const block = queues[at + BLOCK] as number;
      const head = queues[at + HEAD] as number;
      const from = this.#slabs.at(block);
      const to = this.#slabs.at(grown);
      const [fromOffset, toOffset] = [this.#slabs.offset(block), this.#slabs.offset(grown)];
      for (let i = 0; i < held; i += 1) {
        to[toOffset + i] = from[fromOffset + ((head + i) & (held - 1))] as number;
      }
      this.#slabs.giveBack(block);
    }
    queues[at + BLOCK] = grown;
    queues[at + MASK] = Math.max(LEAST_BLOCK, 2 * held) - 1;
    queues[at + HEAD] = 0;
  }

  #get(queueId: number, field: number): number {
    return this.#queues[queueId * INTEGERS_PER_QUEUE + field] as number;
  }

  #add(at: number, field: number, change: number): void {
    this.#queues[at + field] = (this.#queues[at + field] as number) + change;
  }

  #addToAnnex(queueId: number, field: number, change: number): void {
    const at = queueId * INTEGERS_PER_ANNEX + field;
    this.#annexes[at] = (this.#annexes[at] as number) + change;
  }

  #flag(queueId: number, flag: number, isSet: boolean): void {
    const at = queueId * INTEGERS_PER_QUEUE + FLAGS;
    const flags = this.#queues[at] as number;
    this.#queues[at] = isSet ? flags | flag : flags & ~flag;
  }
}

const TAKE_ALL: EntryTaker = { take: () => true };

function copyInto<Numbers extends Int32Array | Float64Array>(
  grown: Numbers,
  held: Numbers,
): Numbers {
  grown.set(held);
  return grown;
}

/** The number of an entry's frame. */
function frameOf(number: number): number {
  return number < 0 ? ~number : number;
}
