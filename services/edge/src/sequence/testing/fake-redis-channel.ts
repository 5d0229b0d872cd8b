import type { Position } from '@tradewind/protocol';
import type { HistoryPage, Message } from '../message.ts';

/** A publication that was really made. */
export interface Published extends Message {
  /** Counts the publications on all servers. It is the payload, too. */
  readonly number: number;
}

/** The channel on one server. */
interface State {
  readonly epoch: string;
  readonly offset: number;
  /** The history, as far as it was not trimmed. */
  readonly log: readonly Published[];
  /** All publications that led to this state, trimmed or not. */
  readonly past: readonly Published[];
}

const EMPTY: State = { epoch: '', offset: 0, log: [], past: [] };

/** A channel in Redis, as the scripts keep it, and what a failover or a restart does to it. */
export class FakeRedisChannel {
  /** All publications that were ever made, here or on a server before. */
  readonly everything: Published[] = [];
  readonly #historySize: number;
  #epochs = 0;
  #state: State = EMPTY;
  /** The states before, the latest last. A replica may have stayed at any of them. */
  #history: State[] = [];

  constructor(historySize: number) {
    this.#historySize = historySize;
  }

  get position(): Position | undefined {
    const { epoch, offset } = this.#state;
    return epoch === '' ? undefined : { epoch, offset };
  }

  get epoch(): string {
    return this.#state.epoch;
  }

  get offset(): number {
    return this.#state.offset;
  }

  /** The publication under an offset of the present epoch, whether it is still in the history or not. */
  at(offset: number): Published | undefined {
    return this.#state.past.find((one) => one.offset === offset);
  }

  publish(publishedAt: number): Published {
    const { epoch, offset, log, past } = this.#state;
    const present = epoch === '' ? this.#newEpoch() : epoch;
    const published = this.#published(present, offset + 1, publishedAt);
    this.#become({
      epoch: present,
      offset: published.offset,
      log: this.#historySize === 0 ? [] : [...log, published].slice(-this.#historySize),
      past: [...past, published],
    });
    return published;
  }

  publishPlain(publishedAt: number): Published {
    return this.#published('', 0, publishedAt);
  }

  trim(kept: number): void {
    const { log } = this.#state;
    this.#become({ ...this.#state, log: kept === 0 ? [] : log.slice(-kept) });
  }

  /** Removes one publication from the history. */
  removeEntry(fromEnd: number): void {
    const { log } = this.#state;
    this.#become({ ...this.#state, log: log.filter((_, i) => i !== log.length - 1 - fromEnd) });
  }

  /** Returns whether it started one. */
  startEpoch(expected: string | undefined): boolean {
    if (this.#state.epoch !== (expected ?? '')) return false;
    const from = expected === undefined ? EMPTY : this.#state;
    this.#become({ ...from, epoch: this.#newEpoch() });
    return true;
  }

  read(from: number, limit: number): HistoryPage {
    const publications = this.#state.log.filter(({ offset }) => offset >= from).slice(0, limit);
    return { position: this.position, publications };
  }

  /** The server before, which another connection still leads to. */
  snapshot(): FakeRedisChannel {
    const copy = new FakeRedisChannel(this.#historySize);
    copy.#state = this.#state;
    return copy;
  }

  /** A replica takes over that has not received the last writes. */
  loseWrites(count: number): void {
    for (let i = 0; i < count; i += 1) this.#state = this.#history.pop() ?? EMPTY;
  }

  restartEmpty(): void {
    this.#state = EMPTY;
    this.#history = [];
  }

  #newEpoch(): string {
    this.#epochs += 1;
    return `e${this.#epochs}`;
  }

  #published(epoch: string, offset: number, publishedAt: number): Published {
    const number = this.everything.length;
    const published = { epoch, offset, publishedAt, payload: Buffer.from(String(number)), number };
    this.everything.push(published);
    return published;
  }

  #become(state: State): void {
    this.#history.push(this.#state);
    this.#state = state;
  }
}
