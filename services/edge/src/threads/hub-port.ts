import {
  firstOffsetOf,
  inOrder,
  isHole,
  lastOffsetOf,
  type Publication,
  type WireChannel,
  type WireReference,
} from '@tradewind/fanout';
import type { ErrorCode, GapReason } from '@tradewind/protocol';
import type {
  Acknowledgement,
  FeedListener,
  GapNotice,
  HistoryAnswer,
  ResyncNotice,
} from '../feed.ts';
import type { HubFeed } from '../hub/hub.ts';
import { FeedPacker, type NumberedChannel } from './feed-codec.ts';
import { MissedPublications, type RequestedRead, WorkerReads } from './worker-backlog.ts';
import type { FeedCall } from './worker-messages.ts';

/**
 * The most bytes of the feed that were posted to a worker and not handled yet. At 100,000 publications of 500 bytes a second this
 * is a third of a second: a worker that keeps up is never that far behind, and its sockets hold far more.
 */
export const WORKER_BACKLOG_BYTES = 16 * 1024 * 1024;

/** What a {@link HubPort} is made of. */
export interface HubPortSettings {
  /** Transfers buffers to the worker. */
  readonly post: (buffers: readonly Uint8Array<ArrayBuffer>[]) => void;
  /** Connects the port to the hub as a worker. The port closes the feed when it is closed. */
  readonly connect: (listener: FeedListener) => HubFeed;
  /** Whether the node keeps history. */
  readonly hasHistory: boolean;
  /** {@link WORKER_BACKLOG_BYTES} by default; tests set less. */
  readonly backlogBytes?: number;
}

/**
 * The hub's end of the port to a worker in another thread. It packs the calls of the feed and posts them at the end
 * of each turn of the event loop.
 *
 * If a worker falls behind by more than the backlog, it gets no more publications, and the port remembers for each channel what
 * the worker misses. Once the worker has handled half of the backlog, the port reads publications with offsets from history and
 * sends them before anything newer of their channel. The others become one gap for each channel. So a frozen or slow worker
 * neither stops the hub from reading Redis nor makes it grow. For the same reason the port reads no history for a worker that is
 * behind by more than half of the backlog.
 */
export class HubPort implements FeedListener {
  readonly #post: HubPortSettings['post'];
  readonly #feed: HubFeed;
  readonly #backlogBytes: number;
  readonly #packer = new FeedPacker();
  /** Whether publications are dropped, until the worker has handled half of the backlog. */
  #isOverflowing = false;
  /**
   * What the worker misses, by channel. Newer publications of such a channel are added, until the worker was sent or told all
   * before them.
   */
  readonly #missed = new Map<string, MissedPublications>();
  /** The latest reference of each channel whose reference changed while publications are dropped. */
  readonly #references = new Map<string, WireReference>();
  readonly #reads: WorkerReads;
  /** The numbers of the worker's requests to confirm a channel's end that were not passed on to the hub yet, by channel. */
  readonly #ends = new Map<string, number[]>();
  readonly #hasHistory: boolean;
  /** The current epoch of each channel that has one. */
  readonly #epochs = new Map<string, string>();
  /** The number of the worker's latest declaration of each channel that it wants. */
  readonly #declarations = new Map<string, number>();
  #scheduled: NodeJS.Immediate | undefined;
  #unconsumedBytes = 0;
  #closed = false;

  constructor(settings: HubPortSettings) {
    const { post, connect, hasHistory, backlogBytes = WORKER_BACKLOG_BYTES } = settings;
    this.#post = post;
    this.#hasHistory = hasHistory;
    this.#feed = connect(this);
    this.#reads = new WorkerReads(
      this.#feed,
      {
        onRequested: (read, answer) => this.#answerRead(read, answer),
        onFilledIn: (missed, answer) => this.#takeMissed(missed, answer),
      },
      backlogBytes / 2,
    );
    this.#backlogBytes = backlogBytes;
  }

  /** The bytes that were posted and that the worker has not handled yet. */
  get unconsumedBytes(): number {
    return this.#unconsumedBytes;
  }

  /** Makes a call of the worker. A read of history begins only once the worker is behind by less than half of the backlog. */
  handle(call: FeedCall): void {
    const { channel } = call;
    switch (call.kind) {
      case 'declare':
        this.#declarations.set(channel, call.number);
        this.#feed.declare(channel, call.others);
        break;
      case 'drop':
        this.#forget(channel);
        this.#feed.drop(channel);
        break;
      case 'want-deflated':
        if (!call.isWanted) this.#references.delete(channel);
        this.#feed.wantDeflated(channel, call.isWanted);
        break;
      case 'read-history':
        this.#reads.request(channel, call);
        this.#schedule();
        break;
      case 'confirm-end':
        this.#requestEnd(channel, call.number);
        break;
    }
  }

  /** Records that the worker has handled `bytes` of the feed. */
  confirmBytes(bytes: number): void {
    this.#unconsumedBytes -= bytes;
    if (this.#freeOfHalf < 0) return;
    if (!this.#isOverflowing && this.#reads.isEmpty) return;
    if (this.#isOverflowing) {
      this.#isOverflowing = false;
      for (const [channel, reference] of this.#references) this.#packReference(channel, reference);
      this.#references.clear();
      for (const [channel, missed] of [...this.#missed]) this.#fillIn(channel, missed);
    }
    this.#schedule();
  }

  /** Stops posting, because the worker has ended. */
  close(): void {
    this.#closed = true;
    this.#feed.close();
    clearImmediate(this.#scheduled);
    this.#missed.clear();
    this.#references.clear();
  }

  onPublication(publication: Publication): void {
    const missed = this.#missedOf(publication.channel);
    if (missed !== undefined) {
      missed.add(publication);
      return;
    }
    this.#packer.packPublication(publication);
    this.#schedule();
  }

  onReference(channel: string, { reference }: WireChannel): void {
    if (reference === undefined) return;
    if (this.#isOverflowing || this.#backlog() >= this.#backlogBytes) {
      this.#isOverflowing = true;
      this.#references.set(channel, reference);
      return;
    }
    this.#packReference(channel, reference);
    this.#schedule();
  }

  onAcknowledged(acknowledgements: readonly Acknowledgement[]): void {
    for (const { channel, position } of acknowledgements) {
      if (position !== undefined) this.#epochs.set(channel, position.epoch);
    }
    this.#packer.packCall(
      'onAcknowledged',
      acknowledgements.map(({ channel, wire: { ref, ts }, ...one }) => {
        return { ...one, ref, ts, ...this.#numbered(channel) };
      }),
    );
    this.#schedule();
  }

  onRefused(channels: readonly string[], code: ErrorCode): void {
    this.#packer.packCall(
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
    if (missed === undefined) this.#packer.packCall('onGap', notice);
    else if (from > 0) missed.addRange(from, to);
    else missed.addPlain(lost);
    this.#schedule();
  }

  /** Packs what the worker misses of the epoch that ends as a gap, because its history can no longer be read. */
  onResync(notice: ResyncNotice): void {
    const { channel, epoch } = notice;
    this.#packMissed(channel);
    this.#epochs.set(channel, epoch);
    this.#packer.packCall('onResync', notice);
    this.#schedule();
  }

  onDegraded(since: number, channels?: readonly string[]): void {
    if (channels === undefined) this.#packer.packCall('onDegraded', since);
    else this.#packer.packCall('onDegraded', since, channels);
    this.#schedule();
  }

  onRestored(): void {
    this.#packer.packCall('onRestored');
    this.#schedule();
  }

  #packReference(channel: string, { id, data }: WireReference): void {
    this.#packer.packCall('onReference', { channel, id, data });
  }

  #answerRead(read: RequestedRead, answer: HistoryAnswer): void {
    const { channel } = answer;
    if (this.#missed.has(channel)) {
      // The answer would overtake what the worker misses, so the read is repeated after that.
      this.#reads.request(channel, read);
    } else {
      // The worker uses nothing of an answer that is too long.
      const isTaken = answer.tooLongBefore === undefined;
      const sent = isTaken ? answer : { ...answer, publications: [], gaps: [] };
      this.#packer.packHistory({ ...sent, number: read.number });
    }
    this.#schedule();
  }

  #takeMissed(missed: MissedPublications, answer: HistoryAnswer): void {
    if (this.#missed.get(answer.channel) === missed) this.#fillInFrom(answer, missed);
    this.#schedule();
  }

  #requestEnd(channel: string, number: number): void {
    this.#ends.set(channel, [...(this.#ends.get(channel) ?? []), number]);
    this.#schedule();
  }

  /** Passes requests for the ends of channels on to the hub. If the worker misses anything of a channel, its request waits, because the answer must not overtake that. */
  #confirmEnds(): void {
    for (const [channel, numbers] of this.#ends) {
      if (this.#missed.has(channel)) continue;
      this.#ends.delete(channel);
      for (const number of numbers) {
        this.#feed.confirmEnd(channel, (code) => this.#answerEnd(channel, number, code));
      }
    }
  }

  #answerEnd(channel: string, number: number, code: ErrorCode | undefined): void {
    if (this.#missed.has(channel)) {
      this.#requestEnd(channel, number);
      return;
    }
    const answer = { channel, number };
    this.#packer.packCall('onEndConfirmed', code === undefined ? answer : { ...answer, code });
    this.#schedule();
  }

  /** The free bytes of the first half of the backlog. Negative if more than half is in use. */
  get #freeOfHalf(): number {
    return this.#backlogBytes / 2 - this.#backlog();
  }

  /** The record to which news of a channel must be added. Undefined if they can be posted. */
  #missedOf(channel: string): MissedPublications | undefined {
    const missed = this.#missed.get(channel);
    if (missed !== undefined) return missed;
    if (!this.#isOverflowing && this.#backlog() < this.#backlogBytes) return undefined;
    this.#isOverflowing = true;
    const begun = new MissedPublications(this.#epochs.get(channel) ?? '');
    this.#missed.set(channel, begun);
    return begun;
  }

  /** Reads from history what the worker misses, if that is possible. Otherwise it becomes a gap. */
  #fillIn(channel: string, missed: MissedPublications): void {
    this.#packPlain(channel, missed);
    if (missed.from === 0) this.#missed.delete(channel);
    else if (missed.epoch === '' || !this.#hasHistory) this.#packMissed(channel);
    else this.#reads.schedule(channel);
  }

  /**
   * Packs the missing offsets that an answer covers. A long range takes several answers. An answer that covers none means that
   * history has no more.
   */
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
      if (first > missed.from) this.#packRange(channel, missed, first - 1, 'slow');
      if (isHole(item)) this.#packRange(channel, { epoch, from: first }, last, item.reason);
      else this.#packer.packPublication(item);
      missed.dropBefore(last + 1);
    }
    if (missed.from === from) this.#packMissed(channel);
    else this.#fillIn(channel, missed);
  }

  #packMissed(channel: string): void {
    const missed = this.#missed.get(channel);
    if (missed === undefined) return;
    this.#missed.delete(channel);
    this.#packPlain(channel, missed);
    if (missed.from > 0) this.#packRange(channel, missed, missed.to, 'slow');
  }

  #packPlain(channel: string, missed: MissedPublications): void {
    const lost = missed.takePlain();
    if (Number.isNaN(lost)) this.#packer.packCall('onGap', { channel, reason: 'link' });
    else if (lost > 0) this.#packer.packCall('onGap', { channel, lost, reason: 'slow' });
  }

  /** Packs a gap up to this offset, inclusive. */
  #packRange(
    channel: string,
    { epoch, from }: Pick<MissedPublications, 'epoch' | 'from'>,
    to: number,
    reason: GapReason,
  ): void {
    const range = epoch === '' ? {} : { epoch, from, to };
    this.#packer.packCall('onGap', { channel, ...range, lost: to - from + 1, reason });
  }

  #forget(channel: string): void {
    this.#declarations.delete(channel);
    this.#epochs.delete(channel);
    this.#missed.delete(channel);
    this.#references.delete(channel);
    this.#reads.forget(channel);
    this.#ends.delete(channel);
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
    this.#confirmEnds();
    this.#reads.start(this.#missed, this.#freeOfHalf);
  }
}
