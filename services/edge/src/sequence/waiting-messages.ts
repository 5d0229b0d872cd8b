import type { Message } from './message.ts';

/** How much of one channel may wait. */
export interface WaitingLimits {
  readonly messages: number;
  /** Of payload. */
  readonly bytes: number;
}

/**
 * When a message arrived, by the last request for the position that was answered:
 * - `before-request`: Redis told of it, if it was published;
 * - `before-answer`: Redis may have told of it;
 * - `after-answer`: it is newer than all that Redis told of.
 */
export type Arrival = 'before-request' | 'before-answer' | 'after-answer';

interface Waiting extends Message {
  epoch: string;
  /** The value of `#events` when it arrived. */
  readonly arrivedAt: number;
}

/**
 * Messages of one channel that wait for a read, in the order of their arrival. A message that exceeds the limits drops
 * all that wait: those with offsets can be read from history, and the others are counted as lost.
 */
export class WaitingMessages {
  readonly #limits: WaitingLimits;
  #messages: Waiting[] = [];
  #bytes = 0;
  /** Counts requests and answers. */
  #events = 0;
  /** The value of `#events` at the last request, at the last one that was answered, and at its answer. */
  #askedAt = 0;
  #answeredRequestAt = 0;
  #answeredAt = 0;
  #droppedPlain = 0;
  #hasDroppedOffsets = false;

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#messages.length;
  }

  /** Whether messages with offsets were dropped since the last request: its answer may not tell of them. */
  get hasDroppedOffsets(): boolean {
    return this.#hasDroppedOffsets;
  }

  /** Adds a message, and copies its payload: a view would keep the whole chunk alive that it was read with. */
  add({ epoch, offset, publishedAt, payload }: Message): void {
    const bytes = this.#bytes + payload.length;
    if (this.#messages.length >= this.#limits.messages || bytes > this.#limits.bytes) this.clear();
    const message = { epoch, offset, publishedAt, payload: Buffer.from(payload) };
    this.#messages.push({ ...message, arrivedAt: this.#events });
    this.#bytes += payload.length;
  }

  /** Drops all. */
  clear(): void {
    for (const { offset } of this.#messages) {
      if (offset === 0) this.#droppedPlain += 1;
      else this.#hasDroppedOffsets = true;
    }
    this.#messages = [];
    this.#bytes = 0;
  }

  /** The number of plain messages that were dropped since the last call. */
  takeDroppedPlain(): number {
    const dropped = this.#droppedPlain;
    this.#droppedPlain = 0;
    return dropped;
  }

  /** The request for the position is being sent. */
  markRequest(): void {
    this.#events += 1;
    this.#askedAt = this.#events;
    this.#hasDroppedOffsets = false;
  }

  /** The last request was answered. */
  markAnswer(): void {
    this.#events += 1;
    this.#answeredRequestAt = this.#askedAt;
    this.#answeredAt = this.#events;
  }

  /** Removes messages from the first one on, until `take` returns false for one. */
  takeWhile(take: (message: Message, arrival: Arrival) => boolean): void {
    let taken = 0;
    for (const message of this.#messages) {
      if (!take(message, this.#arrivalOf(message))) break;
      this.#bytes -= message.payload.length;
      taken += 1;
    }
    this.#messages.splice(0, taken);
  }

  /** Moves messages with offsets from epochs that another epoch replaces to that one. */
  moveToEpoch(replaced: readonly (string | undefined)[], epoch: string): void {
    for (const message of this.#messages)
      if (message.offset > 0 && replaced.includes(message.epoch)) message.epoch = epoch;
  }

  /** The messages of an epoch by their offsets. Of several with one offset it holds the first that came. */
  ofEpoch(epoch: string): ReadonlyMap<number, Message> {
    const found = new Map<number, Message>();
    for (const message of this.#messages) {
      const { offset } = message;
      if (offset > 0 && message.epoch === epoch && !found.has(offset)) found.set(offset, message);
    }
    return found;
  }

  #arrivalOf({ arrivedAt }: Waiting): Arrival {
    if (arrivedAt < this.#answeredRequestAt) return 'before-request';
    return arrivedAt < this.#answeredAt ? 'before-answer' : 'after-answer';
  }
}
