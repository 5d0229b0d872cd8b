import type { Arrival } from './message.ts';

/** How much of one channel may wait. */
export interface PendingLimits {
  readonly messages: number;
  /** Of payload. */
  readonly bytes: number;
}

interface Held extends Arrival {
  epoch: string;
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
  #judged = 0;
  #answered = 0;
  #droppedPlain = 0;
  #isIncomplete = false;

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

  /** How many of them had arrived when the last answered question was put: the answer speaks of each of these. */
  get judged(): number {
    return this.#judged;
  }

  /** How many had arrived when that answer came: those behind them are newer than it. */
  get answered(): number {
    return this.#answered;
  }

  /** Takes a message in, and copies its payload: a view would keep all alive that was read with it. */
  hold(arrival: Arrival): void {
    const { epoch, offset, publishedAt } = arrival;
    const bytes = this.#bytes + arrival.payload.length;
    if (this.#held.length >= this.#limits.messages || bytes > this.#limits.bytes) this.clear();
    const payload = Buffer.from(arrival.payload);
    this.#held.push({ epoch, offset, publishedAt, payload });
    this.#bytes += payload.length;
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
    this.#judged = 0;
    this.#answered = 0;
  }

  /** How many without offsets were let go since the last call. */
  takeDroppedPlain(): number {
    const dropped = this.#droppedPlain;
    this.#droppedPlain = 0;
    return dropped;
  }

  /** The position is being asked for. */
  ask(): void {
    this.#asked = this.#held.length;
    this.#isIncomplete = false;
  }

  /** What was asked for last has come. */
  answer(): void {
    this.#judged = this.#asked;
    this.#answered = this.#held.length;
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
    this.#judged = Math.max(0, this.#judged - taken);
    this.#answered = Math.max(0, this.#answered - taken);
  }

  /** What was published under epochs that another one has taken over is a part of that. */
  renew(old: readonly (string | undefined)[], epoch: string): void {
    for (const held of this.#held)
      if (held.offset > 0 && old.includes(held.epoch)) held.epoch = epoch;
  }

  /** What waits of an epoch, by its offset; of several with one offset the first that came. */
  of(epoch: string): ReadonlyMap<number, Arrival> {
    const found = new Map<number, Arrival>();
    for (const held of this.#held) {
      const { offset } = held;
      if (offset > 0 && held.epoch === epoch && !found.has(offset)) found.set(offset, held);
    }
    return found;
  }
}
