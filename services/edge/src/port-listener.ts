import type { Publication } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import type {
  Acknowledgement,
  FeedListener,
  GapNotice,
  HistoryAnswer,
  ResyncNotice,
} from './feed.ts';
import { FeedPacker } from './feed-codec.ts';
import type { NumberedChannel } from './port-feed.ts';

/**
 * Feed that may be on its way to one worker without having been worked off, in bytes. At 100
 * thousand publications of 500 bytes a second this is a third of a second, far more than a worker
 * that keeps up is ever behind, and little beside what the same worker's sockets take.
 */
export const WORKER_BACKLOG_BYTES = 16 * 1024 * 1024;

/** Publications of one channel that a worker was not told of. */
interface Missed {
  /** NaN when nobody knows how many. */
  count: number;
  /** Their offsets, both inclusive; 0 when they have none. */
  from: number;
  to: number;
}

/**
 * The hub's side of a worker in another thread: packs what the worker is to be told and posts it at
 * the end of each turn of the event loop.
 *
 * When the worker falls behind by more than the backlog, its publications are dropped and counted
 * for each channel; once it has worked off half, it is told a gap for each and goes on. So neither a
 * frozen worker nor a slow one makes the hub stop reading Redis, or grow.
 */
export class PortListener implements FeedListener {
  readonly #post: (buffers: readonly Uint8Array<ArrayBuffer>[]) => void;
  readonly #backlogBytes: number;
  readonly #packer = new FeedPacker();
  readonly #lost = new Map<string, Missed>();
  /** The epoch of each channel that has one. */
  readonly #epochs = new Map<string, string>();
  /** The number of the worker's latest declaration of each channel that it wants. */
  readonly #declarations = new Map<string, number>();
  #scheduled: NodeJS.Immediate | undefined;
  #unconsumedBytes = 0;
  #closed = false;

  /** @param post hands buffers over to the worker, for good. */
  constructor(
    post: (buffers: readonly Uint8Array<ArrayBuffer>[]) => void,
    backlogBytes = WORKER_BACKLOG_BYTES,
  ) {
    this.#post = post;
    this.#backlogBytes = backlogBytes;
  }

  /** Bytes that were posted and not worked off yet. */
  get unconsumedBytes(): number {
    return this.#unconsumedBytes;
  }

  /** The worker declares a channel under this number, or drops it. To be called before the hub is told. */
  declared(channel: string, declaration: number | undefined): void {
    if (declaration === undefined) {
      this.#declarations.delete(channel);
      this.#epochs.delete(channel);
      this.#lost.delete(channel);
    } else {
      this.#declarations.set(channel, declaration);
    }
  }

  /** The worker has worked off so many bytes. */
  consumed(bytes: number): void {
    this.#unconsumedBytes -= bytes;
    if (this.#lost.size === 0 || this.#unconsumedBytes > this.#backlogBytes / 2) return;
    for (const channel of [...this.#lost.keys()]) this.#tellLost(channel);
    this.#schedule();
  }

  /** The worker is gone: nothing is posted any more. */
  close(): void {
    this.#closed = true;
    clearImmediate(this.#scheduled);
    this.#lost.clear();
  }

  published(publication: Publication): void {
    if (this.#lost.size > 0 || this.#backlog() >= this.#backlogBytes) {
      const { channel, offset } = publication;
      this.#lose(channel, 1, offset, offset);
      return;
    }
    this.#packer.published(publication);
    this.#schedule();
  }

  acknowledged(acknowledgements: readonly Acknowledgement[]): void {
    for (const { channel, position } of acknowledgements) {
      if (position !== undefined) this.#epochs.set(channel, position.epoch);
    }
    this.#packer.call(
      'acknowledged',
      acknowledgements.map((one) => ({ ...one, ...this.#numbered(one.channel) })),
    );
    this.#schedule();
  }

  refused(channels: readonly string[], code: ErrorCode): void {
    this.#packer.call(
      'refused',
      channels.map((channel) => this.#numbered(channel)),
      code,
    );
    this.#schedule();
  }

  gap(notice: GapNotice): void {
    const { channel, lost, from, to } = notice;
    if (this.#lost.has(channel)) this.#lose(channel, lost ?? Number.NaN, from ?? 0, to ?? 0);
    else this.#packer.call('gap', notice);
    this.#schedule();
  }

  resync(notice: ResyncNotice): void {
    this.#tellLost(notice.channel);
    this.#epochs.set(notice.channel, notice.epoch);
    this.#packer.call('resync', notice);
    this.#schedule();
  }

  history(answer: HistoryAnswer): void {
    this.#tellLost(answer.channel);
    this.#packer.history({ ...answer, ...this.#numbered(answer.channel) });
    this.#schedule();
  }

  degraded(since: number): void {
    this.#packer.call('degraded', since);
    this.#schedule();
  }

  restored(): void {
    this.#packer.call('restored');
    this.#schedule();
  }

  #lose(channel: string, count: number, from: number, to: number): void {
    const missed = this.#lost.get(channel) ?? { count: 0, from: 0, to: 0 };
    missed.count += count;
    missed.from ||= from;
    missed.to = Math.max(missed.to, to);
    this.#lost.set(channel, missed);
  }

  #tellLost(channel: string): void {
    const missed = this.#lost.get(channel);
    if (missed === undefined) return;
    this.#lost.delete(channel);
    const { count, from, to } = missed;
    const epoch = this.#epochs.get(channel);
    this.#packer.call('gap', {
      channel,
      ...(epoch === undefined || from === 0 ? {} : { epoch, from, to }),
      ...(Number.isNaN(count) ? {} : { lost: count }),
      reason: Number.isNaN(count) ? 'link' : 'slow',
    });
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
  }
}
