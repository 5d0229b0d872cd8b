import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Position } from '@tradewind/protocol';
import { describeFeed, type FeedUnderTest } from '../../hub/testing/feed.contract.ts';
import { RecordingWorker } from '../../hub/testing/hub-under-test.ts';
import { FakeUpstream, publicationOf } from './fake-upstream.ts';

/** What a test lets happen, in the calls with which tests of fan-out workers play it. */
class PlayedUpstream implements FeedUnderTest {
  readonly #upstream = new FakeUpstream();
  readonly #worker = new RecordingWorker();
  readonly #places = new Map<string, Position>();
  /** Offsets that history does not hold. */
  readonly #lost = new Map<string, Set<number>>();
  /** What was published of each channel while the node was cut off. */
  readonly #missed: (() => void)[] = [];
  #isLinked = true;
  readonly feed = this.#upstream.connect(this.#worker);
  readonly told = this.#worker.told;
  readonly refs = this.#worker.refs;
  readonly positions = this.#worker.positions;

  readHistory(channel: string, from: number): void {
    this.feed.readHistory(channel, from, (answer) => this.#worker.recordHistory(answer));
  }

  confirmEnd(channel: string): void {
    this.feed.confirmEnd(channel, (code) => this.#worker.recordEnd(channel, code));
  }

  place(channel: string, position: Position): void {
    this.#places.set(channel, position);
  }

  confirm(channel: string): void {
    if (this.#upstream.wanted.has(channel)) {
      this.#upstream.acknowledge([channel], this.#places.get(channel));
    }
  }

  refuse(channel: string): void {
    this.#upstream.refuse([channel], 'unavailable');
  }

  publish(channel: string, count = 1): void {
    for (let i = 0; i < count; i += 1) this.#tell(channel, this.#write(channel));
  }

  publishBehindLost(channel: string): void {
    const { epoch, offset } = this.#write(channel);
    this.#lost.set(channel, new Set([offset]));
    this.#upstream.gap({ channel, epoch, from: offset, to: offset, lost: 1, reason: 'trimmed' });
    this.publish(channel);
  }

  beginEpoch(channel: string, epoch: string): void {
    this.#places.set(channel, { epoch, offset: 0 });
    this.#upstream.resync({ channel, epoch, offset: 0 });
    this.publish(channel);
  }

  cutOff(): void {
    this.#isLinked = false;
    this.#refuseWaiting();
    this.#upstream.listener.onDegraded(Date.now());
  }

  restore(): void {
    this.#isLinked = true;
    for (const tell of this.#missed.splice(0)) tell();
    this.#upstream.listener.onRestored();
  }

  async news(): Promise<readonly string[]> {
    await nextTurn();
    if (!this.#isLinked) this.#refuseWaiting();
    for (const [channel, from] of [...this.#upstream.pendingReads]) this.#answer(channel, from);
    for (const channel of [...this.#upstream.ends.keys()]) {
      this.#upstream.answerEnd(channel, this.#isLinked ? undefined : 'unavailable');
    }
    return this.#worker.news();
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #write(channel: string): Position {
    const { epoch, offset } = this.#places.get(channel) as Position;
    const position = { epoch, offset: offset + 1 };
    this.#places.set(channel, position);
    return position;
  }

  #tell(channel: string, { offset }: Position): void {
    const tell = (): void => this.#upstream.publish(channel, offset, offset);
    if (this.#isLinked) tell();
    else this.#missed.push(tell);
  }

  #refuseWaiting(): void {
    const waiting = [...this.#upstream.wanted].filter((it) => !this.#upstream.isAcknowledged(it));
    if (waiting.length > 0) this.#upstream.refuse(waiting, 'unavailable');
  }

  #answer(channel: string, from: number): void {
    const place = this.#places.get(channel);
    if (place === undefined) {
      this.#upstream.answer(channel, '', [], 'unavailable');
      return;
    }
    const first = Math.min(from, place.offset + 1);
    const lost = this.#lost.get(channel) ?? new Set();
    const offsets = Array.from({ length: place.offset + 1 - first }, (_, i) => first + i);
    this.#upstream.answer(
      channel,
      place.epoch,
      offsets
        .filter((offset) => !lost.has(offset))
        .map((offset) => publicationOf(channel, offset, offset)),
      undefined,
      offsets
        .filter((offset) => lost.has(offset))
        .map((offset) => ({ from: offset, to: offset, reason: 'trimmed' as const })),
    );
  }
}

describeFeed('the feed that tests play', async () => new PlayedUpstream());
