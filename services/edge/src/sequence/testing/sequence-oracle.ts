import assert from 'node:assert/strict';
import type { GapReason, Position } from '@tradewind/protocol';
import type { HistoryPage, Message } from '../message.ts';
import type { HeaderFault, SequenceListener } from '../sequence-listener.ts';
import type { FakeRedisChannel, Published } from './fake-redis-channel.ts';

/**
 * Listens to a sequence, knows the truth, and fails when both differ: at a publication that comes twice or out of order
 * within an epoch, at an offset that is neither delivered nor told as lost, or both, at the loss of a message that was at
 * hand, and at a new epoch's publication before the epoch.
 */
export class SequenceOracle implements SequenceListener {
  /** The calls of the sequence, one line each. */
  readonly told: string[] = [];
  /** The sequence's position by what it told; undefined while there is no epoch. */
  run: Position | undefined;
  isReady = false;
  /** The page of history that the present call brings. */
  page: HistoryPage | undefined;
  /** Whether waiting messages may have been dropped for lack of room, so that none is known to be at hand. */
  readonly #isCramped: boolean;
  readonly #pageSize: number;
  readonly #redis: FakeRedisChannel;
  readonly #over = new Set<string>();
  /** The numbers of publications that were delivered, told as lost, or older than the acknowledgement. */
  readonly #accounted = new Set<number>();
  /** The publications that were delivered under the present epoch: offset → number. */
  readonly #inRun = new Map<number, number>();
  /** The numbers of the messages that arrived since the link is up. */
  readonly #arrived = new Set<number>();
  readonly #forgedOffsets = new Set<number>();
  /** Whether a forged one was believed: the time that it claims is another. */
  #isDeceived = false;
  /** Whether the link lost a single message since it is up. */
  #hasHole = false;
  #lastInOrder = -1;
  #lastPlain = -1;

  constructor(redis: FakeRedisChannel, pageSize: number, isCramped: boolean) {
    this.#redis = redis;
    this.#pageSize = pageSize;
    this.#isCramped = isCramped;
  }

  count(word: string): number {
    return this.told.filter((line) => line.startsWith(word)).length;
  }

  // What happens on the link.

  arrived(message: Message & { readonly number?: number }): void {
    if (message.number === undefined) this.#forgedOffsets.add(message.offset);
    else this.#arrived.add(message.number);
  }

  lostOnLink(): void {
    this.#hasHole = true;
  }

  linkLost(): void {
    this.#arrived.clear();
    this.#forgedOffsets.clear();
    this.#hasHole = false;
  }

  /** All is quiet. The publications of the present epoch must be those that Redis has. */
  finish(): void {
    assert.deepEqual(this.run, this.#redis.position);
    for (const [offset, number] of this.#inRun)
      if (number !== -1) assert.equal(this.#redis.at(offset)?.number, number, `offset ${offset}`);
  }

  // The sequence's listener.

  onReady(): void {
    assert(!this.isReady);
    this.isReady = true;
    this.told.push('ready');
  }

  /** The sequence's position when it was ready. */
  began(position: Position | undefined): void {
    this.run = position;
    for (const { epoch, offset, number } of this.#redis.everything)
      if (epoch !== '' && offset <= (position?.offset ?? 0)) this.#accounted.add(number);
  }

  onPublication({ epoch, offset, payload }: Message): void {
    const text = payload.toString();
    this.told.push(`${epoch}:${offset} ${text}`);
    if (offset > 0) {
      assert.equal(epoch, this.run?.epoch, 'a resync comes before a new epoch');
      assert.equal(offset, this.run!.offset + 1, 'in order, without a hole');
      this.run = { epoch, offset };
    }
    const number = text === 'forged' ? -1 : Number(text);
    if (offset > 0) this.#inRun.set(offset, number);
    if (number === -1) {
      this.#isDeceived = true;
      for (const one of this.#of(epoch, offset)) this.#accounted.add(one.number);
      return;
    }
    const truth = this.#redis.everything[number];
    assert.equal(truth?.offset, offset, 'published under this offset');
    if (offset === 0) assert(!this.#accounted.has(number), 'a plain one comes once');
    this.#accounted.add(number);
    this.#checkOrder(number, offset);
  }

  onGap(from: number, to: number, reason: GapReason): void {
    this.told.push(`gap ${from}-${to} ${reason}`);
    assert.equal(from, this.run!.offset + 1);
    assert(to >= from);
    const { epoch } = this.run!;
    for (let offset = from; offset <= to; offset += 1) this.#checkLost(epoch, offset, reason);
    this.run = { epoch, offset: to };
  }

  onPlainLost(count?: number): void {
    this.told.push(`lost ${count ?? 'plain'}`);
  }

  onResync(position: Position): void {
    this.told.push(`resync ${position.epoch}:${position.offset}`);
    assert.notEqual(position.epoch, this.run?.epoch);
    assert(!this.#over.has(position.epoch), 'an epoch that was left');
    if (this.run !== undefined) this.#over.add(this.run.epoch);
    this.#checkSwallowed(position);
    for (let offset = 1; offset <= position.offset; offset += 1)
      this.#accounted.add(this.#redis.at(offset)?.number ?? -1);
    this.run = position;
    this.#inRun.clear();
  }

  onHeaderRejected(fault: HeaderFault): void {
    this.told.push(`rejected ${fault}`);
  }

  onRepaired(count: number): void {
    this.told.push(`repaired ${count}`);
  }

  #of(epoch: string, offset: number): Published[] {
    return this.#redis.everything.filter((one) => one.epoch === epoch && one.offset === offset);
  }

  #hasArrived(epoch: string, offset: number): boolean {
    return this.#of(epoch, offset).some(({ number }) => this.#arrived.has(number));
  }

  /**
   * Messages that arrived are delivered in the order of publication, plain ones among the others if none is forged. Once a
   * forged one was believed, a new epoch may bring again what came after it.
   */
  #checkOrder(number: number, offset: number): void {
    if (offset === 0) {
      assert(number > this.#lastPlain, 'in the order of publication');
      this.#lastPlain = number;
    }
    if (!this.#arrived.has(number) || this.#isCramped) return;
    if (this.#forgedOffsets.size > 0 || this.#isDeceived) return;
    assert(number > this.#lastInOrder, 'in the order of publication');
    this.#lastInOrder = number;
  }

  #checkLost(epoch: string, offset: number, reason: GapReason): void {
    for (const { number } of this.#of(epoch, offset)) this.#accounted.add(number);
    this.#accounted.add(this.#redis.at(offset)?.number ?? -1);
    if (!this.#isCramped && !this.#forgedOffsets.has(offset))
      assert(!this.#hasArrived(epoch, offset), `${offset} is told as lost, at hand`);
    if (reason === 'link') return;
    const { publications } = this.page!;
    assert(!publications.some((one) => one.offset === offset), `${offset} is told as lost, held`);
    if (publications.length === this.#pageSize)
      assert(offset <= publications.at(-1)!.offset, `${offset} is told as lost, not read`);
  }

  /** Publications that a new epoch does not deliver were delivered before, or cannot be read. */
  #checkSwallowed({ epoch, offset }: Position): void {
    if (this.#isDeceived) return;
    for (const one of this.page?.publications ?? []) {
      if (one.offset > offset) continue;
      const number = Number(one.payload.toString());
      assert(this.#accounted.has(number), `${one.offset} is swallowed, held`);
    }
    if (this.#isCramped || this.#hasHole) return;
    for (const number of this.#arrived) {
      const one = this.#redis.everything[number]!;
      if (one.epoch !== epoch || one.offset > offset || this.#accounted.has(number)) continue;
      if (this.#forgedOffsets.size > 0) continue;
      assert.fail(`${epoch}:${one.offset} is swallowed, at hand`);
    }
  }
}
