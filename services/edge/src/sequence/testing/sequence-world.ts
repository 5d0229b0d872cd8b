import assert from 'node:assert/strict';
import type { Position } from '@tradewind/protocol';
import { ChannelSequence, type SequenceLimits } from '../channel-sequence.ts';
import type { Message } from '../message.ts';
import type { SequenceAction } from '../sequence-action.ts';
import { FakeRedisChannel } from './fake-redis-channel.ts';
import { SequenceOracle } from './sequence-oracle.ts';

/** Travels on the connection of the subscription, in this order. */
type OnLink =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'position'; readonly position: Position | undefined };

/** A read or write on the other connection. `run` executes it in Redis; its result takes the answer in. */
interface Operation {
  readonly run: () => () => void;
  answer: (() => void) | undefined;
}

/** More rounds of requests and answers than a sequence needs to come to rest. */
const ROUNDS = 100;

export interface WorldSettings {
  readonly sequence: SequenceLimits;
  /** The number of publications that Redis keeps. */
  readonly historySize: number;
  /** The number of publications before the subscription. */
  readonly published: number;
}

/**
 * A channel's sequence, its Redis, two connections between them, and an owner that does what the sequence returns, as
 * `Recovery` does. Each step may come at any time; one that makes no sense does nothing.
 */
export class SequenceWorld {
  readonly sequence: ChannelSequence;
  readonly oracle: SequenceOracle;
  readonly #redis: FakeRedisChannel;
  readonly #page: number;
  #now = 1_000_000;
  #isUp = true;
  #isRelinked = true;
  #isSameServer = true;
  /** The server that the other connection still leads to after a failover. */
  #oldServer: FakeRedisChannel | undefined;
  #onLink: OnLink[] = [];
  #request: 'none' | 'sent' | 'executed' = 'none';
  /** What the sequence returned last. */
  #action: SequenceAction = { kind: 'read-position', isStale: false };
  #operation: Operation | undefined;

  constructor({ sequence, historySize, published }: WorldSettings) {
    this.#redis = new FakeRedisChannel(historySize);
    for (let i = 0; i < published; i += 1) this.#redis.publish(this.#tick());
    this.#page = sequence.page;
    const isCramped = sequence.waiting.messages < 100;
    this.oracle = new SequenceOracle(this.#redis, this.#page, isCramped);
    this.sequence = new ChannelSequence(sequence, this.oracle);
  }

  // What happens.

  publish(isLost = false): void {
    const message = this.#redis.publish(this.#tick());
    if (!this.#isUp) return;
    if (isLost) this.oracle.lostOnLink();
    else this.#onLink.push({ kind: 'message', message });
  }

  publishPlain(): void {
    const message = this.#redis.publishPlain(this.#tick());
    if (this.#isUp) this.#onLink.push({ kind: 'message', message });
  }

  /** A publisher writes a header by hand. */
  forge(epoch: string, distance: number, isLater: boolean): void {
    const offset = Math.max(1, this.#redis.offset + distance);
    const publishedAt = isLater ? this.#now + 1 : 1;
    const message = { epoch, offset, publishedAt, payload: Buffer.from('forged') };
    if (this.#isUp) this.#onLink.push({ kind: 'message', message });
  }

  get epoch(): string {
    return this.#redis.epoch;
  }

  get offset(): number {
    return this.#redis.offset;
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  trim(kept: number): void {
    this.#redis.trim(kept);
  }

  removeEntry(fromEnd: number): void {
    this.#redis.removeEntry(fromEnd);
  }

  loseLink(): void {
    if (!this.#isUp || !this.oracle.isReady) return;
    this.#isUp = false;
    this.#isRelinked = false;
    this.#onLink = [];
    this.#request = 'none';
    this.oracle.linkLost();
    this.#action = this.sequence.unlink();
  }

  /** A replica takes over. @param staysBehind whether the other connection does not notice yet. */
  failOver(lostWrites: number, staysBehind: boolean): void {
    if (this.#isUp) return;
    this.#oldServer = staysBehind ? this.#redis.snapshot() : undefined;
    this.#redis.loseWrites(lostWrites);
    this.#isSameServer = false;
  }

  restartEmpty(): void {
    if (this.#isUp) return;
    this.#oldServer = undefined;
    this.#redis.restartEmpty();
    this.#isSameServer = false;
  }

  /** Redis confirms the subscription: what it sends from now on arrives, but the server is not known yet. */
  subscribe(): void {
    this.#isUp = true;
  }

  relink(): void {
    if (!this.#isUp || this.#isRelinked) return;
    this.#isRelinked = true;
    this.#operation = undefined;
    this.#action = this.sequence.relink(this.#isSameServer);
    this.#isSameServer = true;
  }

  moveOther(): void {
    this.#oldServer = undefined;
  }

  // The owner's steps.

  /** Asks even when the position is not needed any more: the request may have waited for its turn. */
  ask(): void {
    if (!this.#isUp || this.#request !== 'none') return;
    this.sequence.beginPositionRead(this.#now);
    this.#request = 'sent';
  }

  executeRequest(): void {
    if (this.#request !== 'sent') return;
    this.#request = 'executed';
    this.#onLink.push({ kind: 'position', position: this.#redis.position });
  }

  /** Takes a chunk from the socket. Its messages are told before its answers, whatever their order. */
  arrive(count: number): void {
    const chunk = this.#onLink.splice(0, count);
    for (const item of chunk) {
      if (item.kind === 'position') continue;
      this.oracle.arrived(item.message);
      this.#action = this.sequence.deliverOrHold(item.message);
    }
    for (const item of chunk) {
      if (item.kind === 'message') continue;
      this.#request = 'none';
      const isNew = !this.oracle.isReady;
      if (isNew) this.oracle.began(item.position);
      this.#action = this.sequence.applyPosition(item.position);
    }
  }

  operate(): void {
    const action = this.#action;
    if (this.#operation !== undefined || this.#oldServer !== undefined) return;
    if (action.kind === 'start-epoch') {
      const answer = (): void => {
        this.#action = this.sequence.locateNewEpoch();
      };
      const run = (): (() => void) => {
        this.#other.startEpoch(action.replaces);
        return answer;
      };
      this.#operation = { run, answer: undefined };
    } else if (action.kind === 'read-history') {
      const run = (): (() => void) => {
        const page = this.#other.read(action.from, this.#page);
        return () => {
          this.oracle.page = page;
          this.#action = this.sequence.applyHistory(page);
          this.oracle.page = undefined;
        };
      };
      this.#operation = { run, answer: undefined };
    }
  }

  executeOperation(): void {
    if (this.#operation !== undefined) this.#operation.answer ??= this.#operation.run();
  }

  answerOperation(): void {
    const answer = this.#operation?.answer;
    if (answer === undefined) return;
    this.#operation = undefined;
    answer();
  }

  refuseHistory(): void {
    this.#action = this.sequence.abandonHistory();
  }

  check(): void {
    this.#action = this.sequence.check();
  }

  compare(): void {
    this.#action = this.sequence.compare();
  }

  /** Redis answers all requests, and the sequence comes to rest at Redis' position. */
  settle(): void {
    this.subscribe();
    this.relink();
    this.moveOther();
    this.#rest();
    this.check();
    this.#rest();
    this.oracle.finish();
  }

  /** One round of the owner's steps. */
  serve(): void {
    this.compare();
    this.arrive(Number.POSITIVE_INFINITY);
    if (this.#action.kind === 'read-position') this.ask();
    this.executeRequest();
    this.arrive(Number.POSITIVE_INFINITY);
    this.operate();
    this.executeOperation();
    this.answerOperation();
  }

  #rest(): void {
    for (let round = 0; round < ROUNDS && !this.#isAtRest; round += 1) this.serve();
    assert(this.#isAtRest, `${this.#action.kind} is wanted after ${ROUNDS} rounds`);
  }

  get #isAtRest(): boolean {
    const isIdle = this.#request === 'none' && this.#onLink.length === 0;
    return this.#action.kind === 'nothing' && this.sequence.waiting === 0 && isIdle;
  }

  get #other(): FakeRedisChannel {
    return this.#oldServer ?? this.#redis;
  }

  #tick(): number {
    this.#now += 1;
    return this.#now;
  }
}
