import type { Message } from './message.ts';

/** How many messages of one channel may wait. */
export interface WaitingLimits {
  readonly messages: number;
  /** The most bytes of their payloads. */
  readonly bytes: number;
}

/**
 * When a message arrived, relative to the last request for the position that was answered:
 * - `before-request`: the position covers it, unless it was forged;
 * - `before-answer`: the position may cover it;
 * - `after-answer`: it is newer than the position.
 */
export type Arrival = 'before-request' | 'before-answer' | 'after-answer';

interface Waiting extends Message {
  epoch: string;
  /** The value of `#events` when it arrived. */
  readonly arrivedAt: number;
}

/**
 * Messages of one channel that wait for a read, in the order of their arrival. A message that exceeds the limits makes all that
 * wait be dropped: those with offsets can be read from history, and the others are counted as lost.
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

  /** The number of messages that wait. */
  get length(): number {
    return this.#messages.length;
  }

  /** Whether messages with offsets were dropped since the last request, whose answer may not cover them. */
  get hasDroppedOffsets(): boolean {
    return this.#hasDroppedOffsets;
  }

  /** Adds a message, with a copy of its payload: a view would keep the whole chunk of the socket alive. */
  add({ epoch, offset, publishedAt, payload }: Message): void {
    const bytes = this.#bytes + payload.length;
    if (this.#messages.length >= this.#limits.messages || bytes > this.#limits.bytes) this.clear();
    const message = { epoch, offset, publishedAt, payload: Buffer.from(payload) };
    this.#messages.push({ ...message, arrivedAt: this.#events });
    this.#bytes += payload.length;
  }

  /** Drops all messages. */
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

  /** Records that the position is requested now. */
  markRequest(): void {
    this.#events += 1;
    this.#askedAt = this.#events;
    this.#hasDroppedOffsets = false;
  }

  /** Records that the last request was answered. */
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

  /** The messages of an epoch by their offsets; of several with one offset, the one that came first. */
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
