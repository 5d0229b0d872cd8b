import { firstOffsetOf, inOrder, isHole, lastOffsetOf, type Publication } from '@tradewind/fanout';
import type { ErrorCode, GapReason } from '@tradewind/protocol';
import type {
  Acknowledgement,
  FeedListener,
  GapNotice,
  HistoryAnswer,
  ResyncNotice,
} from '../feed.ts';
import { FeedPacker, type NumberedChannel } from './feed-codec.ts';
import { type AskHub, MissedPublications, PortQuestions } from './worker-backlog.ts';

/**
 * Feed that may be on its way to one worker without having been worked off, in bytes. At 100
 * thousand publications of 500 bytes a second this is a third of a second, far more than a worker
 * that keeps up is ever behind, and little beside what the same worker's sockets take.
 */
export const WORKER_BACKLOG_BYTES = 16 * 1024 * 1024;

const NOBODY: AskHub = { readHistory() {}, fillIn() {} };

export interface PortListenerSettings {
  /** Hands buffers over to the worker, for good. */
  readonly post: (buffers: readonly Uint8Array<ArrayBuffer>[]) => void;
  /** Undefined where there is no history. */
  readonly ask: AskHub | undefined;
  readonly backlogBytes?: number;
}

/**
 * The hub's side of a worker in another thread: packs what the worker is to be told and posts it at
 * the end of each turn of the event loop.
 *
 * When the worker falls behind by more than the backlog, its publications are dropped, and what it misses
 * is remembered for each channel. Once it has worked off half, what has offsets is filled in from history,
 * before anything newer of its channel; the rest is one gap for each. So neither a frozen worker nor a slow
 * one makes the hub stop reading Redis, or grow. For the same reason nothing is asked of history for a
 * worker that is behind by more than half.
 */
export class PortListener implements FeedListener {
  readonly #post: PortListenerSettings['post'];
  readonly #backlogBytes: number;
  readonly #packer = new FeedPacker();
  /** Whether everything is dropped, until half of the backlog is worked off. */
  #isOverflowing = false;
  /** Channels of which the worker misses something: what is newer is missed as well, until that is told. */
  readonly #missed = new Map<string, MissedPublications>();
  readonly #questions: PortQuestions;
  readonly #canAsk: boolean;
  /** The epoch of each channel that has one. */
  readonly #epochs = new Map<string, string>();
  /** The number of the worker's latest declaration of each channel that it wants. */
  readonly #declarations = new Map<string, number>();
  #scheduled: NodeJS.Immediate | undefined;
  #unconsumedBytes = 0;
  #closed = false;

  constructor({ post, ask, backlogBytes = WORKER_BACKLOG_BYTES }: PortListenerSettings) {
    this.#post = post;
    this.#canAsk = ask !== undefined;
    this.#questions = new PortQuestions(ask ?? NOBODY, backlogBytes / 2);
    this.#backlogBytes = backlogBytes;
  }

  /** Bytes that were posted and not worked off yet. */
  get unconsumedBytes(): number {
    return this.#unconsumedBytes;
  }

  /** The worker declares a channel under this number, or drops it. To be called before the hub is told. */
  declared(channel: string, declaration: number | undefined): void {
    if (declaration === undefined) this.#forget(channel);
    else this.#declarations.set(channel, declaration);
  }

  /** The worker asks for a channel's history; the hub is asked when the worker is not behind. */
  asked(channel: string, from: number): void {
    this.#questions.addOwn(channel, from);
    this.#schedule();
  }

  /** The worker has worked off so many bytes. */
  consumed(bytes: number): void {
    this.#unconsumedBytes -= bytes;
    if (this.#freeOfHalf < 0) return;
    if (!this.#isOverflowing && this.#questions.isEmpty) return;
    if (this.#isOverflowing) {
      this.#isOverflowing = false;
      for (const [channel, missed] of [...this.#missed]) this.#fillIn(channel, missed);
    }
    this.#schedule();
  }

  /** The worker is gone: nothing is posted any more. */
  close(): void {
    this.#closed = true;
    clearImmediate(this.#scheduled);
    this.#missed.clear();
  }

  onPublication(publication: Publication): void {
    const missed = this.#missedOf(publication.channel);
    if (missed !== undefined) {
      missed.add(publication);
      return;
    }
    this.#packer.published(publication);
    this.#schedule();
  }

  onAcknowledged(acknowledgements: readonly Acknowledgement[]): void {
    for (const { channel, position } of acknowledgements) {
      if (position !== undefined) this.#epochs.set(channel, position.epoch);
    }
    this.#packer.call(
      'onAcknowledged',
      acknowledgements.map((one) => ({ ...one, ...this.#numbered(one.channel) })),
    );
    this.#schedule();
  }

  onRefused(channels: readonly string[], code: ErrorCode): void {
    this.#packer.call(
      'onRefused',
      channels.map((channel) => this.#numbered(channel)),
      code,
    );
    for (const channel of channels) this.#forget(channel);
    this.#schedule();
  }

  onGap(notice: GapNotice): void {
    const { channel, lost = Number.NaN, from = 0, to = 0 } = notice;
    const missed = this.#missedOf(channel);
    if (missed === undefined) this.#packer.call('onGap', notice);
    else if (from > 0) missed.addRange(from, to);
    else missed.addPlain(lost);
    this.#schedule();
  }

  /** What is missing of the epoch that ends cannot be asked for any more. */
  onResync(notice: ResyncNotice): void {
    const { channel, epoch } = notice;
    this.#tellMissed(channel);
    this.#epochs.set(channel, epoch);
    this.#packer.call('onResync', notice);
    this.#schedule();
  }

  onHistory(answer: HistoryAnswer): void {
    const { channel, publications } = answer;
    const missed = this.#missed.get(channel);
    const bytes = publications.reduce((sum, { body }) => sum + body.length, 0);
    const question = this.#questions.takeAnswered(channel, bytes);
    if (typeof question !== 'number') {
      if (missed !== undefined && question === missed) this.#fillInFrom(answer, missed);
    } else if (missed === undefined) {
      // The worker takes nothing of what is too long.
      const isTaken = answer.tooLongBefore === undefined;
      const sent = isTaken ? answer : { ...answer, publications: [], gaps: [] };
      this.#packer.history({ ...sent, ...this.#numbered(channel) });
    } else {
      // It would overtake what is missed, and is asked for again behind that.
      this.#questions.addOwn(channel, question);
    }
    this.#schedule();
  }

  onDegraded(since: number): void {
    this.#packer.call('onDegraded', since);
    this.#schedule();
  }

  onRestored(): void {
    this.#packer.call('onRestored');
    this.#schedule();
  }

  /** Bytes of half of the backlog that are free: negative when more than half is in use. */
  get #freeOfHalf(): number {
    return this.#backlogBytes / 2 - this.#backlog();
  }

  /** What the worker misses of a channel, if what comes of it now is to be added to that instead of being posted. */
  #missedOf(channel: string): MissedPublications | undefined {
    const missed = this.#missed.get(channel);
    if (missed !== undefined) return missed;
    if (!this.#isOverflowing && this.#backlog() < this.#backlogBytes) return undefined;
    this.#isOverflowing = true;
    const begun = new MissedPublications(this.#epochs.get(channel) ?? '');
    this.#missed.set(channel, begun);
    return begun;
  }

  /** Has the hub asked for what is missing, where that can be had. */
  #fillIn(channel: string, missed: MissedPublications): void {
    this.#tellPlain(channel, missed);
    if (missed.from === 0) this.#missed.delete(channel);
    else if (missed.epoch === '' || !this.#canAsk) this.#tellMissed(channel);
    else this.#questions.add(channel);
  }

  /** A long hole takes several answers. One that brings nothing of it says that there is no more. */
  #fillInFrom(
    { channel, epoch, publications, gaps, code }: HistoryAnswer,
    missed: MissedPublications,
  ) {
    const { from } = missed;
    const isUsable = code === undefined && epoch === missed.epoch;
    for (const item of isUsable ? inOrder(publications, gaps) : []) {
      const last = lastOffsetOf(item);
      if (missed.from === 0 || last < missed.from) continue;
      const first = Math.max(missed.from, firstOffsetOf(item));
      if (first > missed.from) this.#tellRange(channel, missed, first - 1, 'slow');
      if (isHole(item)) this.#tellRange(channel, { epoch, from: first }, last, item.reason);
      else this.#packer.published(item);
      missed.toldBefore(last + 1);
    }
    if (missed.from === from) this.#tellMissed(channel);
    else this.#fillIn(channel, missed);
  }

  #tellMissed(channel: string): void {
    const missed = this.#missed.get(channel);
    if (missed === undefined) return;
    this.#missed.delete(channel);
    this.#tellPlain(channel, missed);
    if (missed.from > 0) this.#tellRange(channel, missed, missed.to, 'slow');
  }

  #tellPlain(channel: string, missed: MissedPublications): void {
    const lost = missed.takePlain();
    if (Number.isNaN(lost)) this.#packer.call('onGap', { channel, reason: 'link' });
    else if (lost > 0) this.#packer.call('onGap', { channel, lost, reason: 'slow' });
  }

  /** What is missing up to this offset cannot be had. */
  #tellRange(
    channel: string,
    { epoch, from }: Pick<MissedPublications, 'epoch' | 'from'>,
    to: number,
    reason: GapReason,
  ): void {
    const range = epoch === '' ? {} : { epoch, from, to };
    this.#packer.call('onGap', { channel, ...range, lost: to - from + 1, reason });
  }

  #forget(channel: string): void {
    this.#declarations.delete(channel);
    this.#epochs.delete(channel);
    this.#missed.delete(channel);
    this.#questions.forget(channel);
  }

  #numbered(channel: string): NumberedChannel {
    return { channel, declaration: this.#declarations.get(channel) ?? 0 };
  }

  #backlog(): number {
    return this.#unconsumedBytes + this.#packer.bytes;
  }

  #schedule(): void {
    if (!this.#closed) this.#scheduled ??= setImmediate(() => this.#handOver());
  }

  #handOver(): void {
    this.#scheduled = undefined;
    const buffers = this.#packer.take();
    for (const { byteLength } of buffers) this.#unconsumedBytes += byteLength;
    if (buffers.length > 0) this.#post(buffers);
    this.#questions.put(this.#missed, this.#freeOfHalf);
  }
}
