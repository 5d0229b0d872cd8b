import type { Arrival } from './message.ts';

/** How much of one channel may wait. */
export interface PendingLimits {
  readonly messages: number;
  /** Of payload. */
  readonly bytes: number;
}

interface Held extends Arrival {
  epoch: string;
  payload: Buffer;
  /** Whether the payload is a part of what was read from the socket, and keeps all of that alive. */
  isView: boolean;
}

/**
 * Messages of one channel that wait for a read, in the order of their arrival, and which of them an answer
 * of Redis speaks of. When there are too many, all are let go: those with offsets can be had from history,
 * and the others are counted as lost.
 */
export class PendingArrivals {
  readonly #limits: PendingLimits;
  #held: Held[] = [];
  #bytes = 0;
  /** How many of them had arrived when the position was asked for last. */
  #asked = 0;
  /** The same for the question that was answered last. */
  #confirmable = 0;
  /** How many had arrived when that answer came. */
  #answered = 0;
  #droppedPlain = 0;
  /** Whether some with offsets were let go since the position was asked for last. */
  #isIncomplete = false;
  /** The highest offset among them, of whatever epoch. */
  #highest = 0;
  #isUnordered = false;

  constructor(limits: PendingLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#held.length;
  }

  /** Whether some with offsets were let go that the answer to the last question may not know of. */
  get isIncomplete(): boolean {
    return this.#isIncomplete;
  }

  /** Whether one came behind another that claims the same offset, or a higher one: one of them is forged. */
  get isUnordered(): boolean {
    return this.#isUnordered;
  }

  /** Of the first so many, Redis has told all: what it does not know of was forged. */
  get confirmable(): number {
    return this.#confirmable;
  }

  /** Those behind the first so many are newer than the position that Redis told last. */
  get answered(): number {
    return this.#answered;
  }

  /**
   * Takes a message in.
   *
   * @param mayKeepView whether it is to wait for a short time only, so that its payload may stay where it is.
   */
  hold(arrival: Arrival, mayKeepView: boolean): void {
    const { epoch, offset, publishedAt } = arrival;
    const bytes = this.#bytes + arrival.payload.length;
    if (this.#held.length >= this.#limits.messages || bytes > this.#limits.bytes) this.clear();
    const payload = mayKeepView ? arrival.payload : Buffer.from(arrival.payload);
    this.#held.push({ epoch, offset, publishedAt, payload, isView: mayKeepView });
    this.#bytes += payload.length;
    if (offset === 0) return;
    if (offset <= this.#highest) this.#isUnordered = true;
    else this.#highest = offset;
  }

  /** Lets go of all. */
  clear(): void {
    for (const { offset } of this.#held) {
      if (offset === 0) this.#droppedPlain += 1;
      else this.#isIncomplete = true;
    }
    this.#held = [];
    this.#bytes = 0;
    this.#asked = 0;
    this.#confirmable = 0;
    this.#answered = 0;
    this.#forgetOrder();
  }

  /** How many without offsets were let go since the last call. */
  takeDroppedPlain(): number {
    const dropped = this.#droppedPlain;
    this.#droppedPlain = 0;
    return dropped;
  }

  /** The position is being asked for. What was waiting at the last answer already waits for long. */
  ask(): void {
    this.own(this.#answered);
    this.#asked = this.#held.length;
    this.#isIncomplete = false;
  }

  /** What was asked for last has come. */
  answer(): void {
    this.#confirmable = this.#asked;
    this.#answered = this.#held.length;
  }

  /** Copies the payloads of the first so many, so that they keep nothing else alive. */
  own(count = this.#held.length): void {
    for (const held of this.#held.slice(0, count)) {
      if (held.isView) held.payload = Buffer.from(held.payload);
      held.isView = false;
    }
  }

  /** Takes one after the other out, with its place among them, for as long as `take` agrees. */
  takeWhile(take: (arrival: Arrival, place: number) => boolean): void {
    let taken = 0;
    for (const arrival of this.#held) {
      if (!take(arrival, taken)) break;
      this.#bytes -= arrival.payload.length;
      taken += 1;
    }
    this.#held.splice(0, taken);
    this.#asked = Math.max(0, this.#asked - taken);
    this.#confirmable = Math.max(0, this.#confirmable - taken);
    this.#answered = Math.max(0, this.#answered - taken);
    if (this.#held.length === 0) this.#forgetOrder();
  }

  /** What was published under epochs that another one has taken over is a part of that. */
  renew(old: readonly (string | undefined)[], epoch: string): void {
    for (const held of this.#held)
      if (held.offset > 0 && old.includes(held.epoch)) held.epoch = epoch;
  }

  /** The place of the last one like this, from 0; -1 when there is none. */
  lastPlaceOf(isLike: (arrival: Arrival) => boolean): number {
    return this.#held.findLastIndex(isLike);
  }

  /** What they claim of an epoch: for each offset the one that claims it, or undefined if several do. */
  claims(epoch: string): ReadonlyMap<number, Arrival | undefined> {
    const claims = new Map<number, Arrival | undefined>();
    for (const held of this.#held) {
      const { offset } = held;
      if (offset > 0 && held.epoch === epoch)
        claims.set(offset, claims.has(offset) ? undefined : held);
    }
    return claims;
  }

  #forgetOrder(): void {
    this.#highest = 0;
    this.#isUnordered = false;
  }
}
