import type { ErrorCode } from '@tradewind/protocol';
import type { Feed, FeedListener } from '../feed.ts';
import { FeedUnpacker, type NumberedAcknowledgement, type NumberedChannel } from './feed-codec.ts';
import type { InterestChange } from './worker-messages.ts';

/**
 * A worker's end of the port to the hub in another thread. It gathers changes of interest and posts them once a turn.
 *
 * Declarations and their answers carry numbers. An answer that was on its way while the worker dropped the channel
 * and declared it again belongs to the old declaration, and is ignored.
 */
export class WorkerPort implements Feed {
  readonly #post: (changes: readonly InterestChange[], consumedBytes: number) => void;
  readonly #listener: FeedListener;
  readonly #declarations = new Map<string, number>();
  /**
   * Channels that are acknowledged. A call about any other channel was on its way when the worker dropped it, and is
   * ignored.
   */
  readonly #acknowledged = new Set<string>();
  readonly #unpacker: FeedUnpacker;
  #lastDeclaration = 0;
  #changes: InterestChange[] = [];
  #consumedBytes = 0;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(
    post: (changes: readonly InterestChange[], consumedBytes: number) => void,
    listener: FeedListener,
  ) {
    this.#post = post;
    this.#listener = listener;
    this.#unpacker = new FeedUnpacker({
      onPublication: (publication) => {
        if (this.#acknowledged.has(publication.channel)) listener.onPublication(publication);
      },
      onGap: (notice) => {
        if (this.#acknowledged.has(notice.channel)) listener.onGap(notice);
      },
      onResync: (notice) => {
        if (this.#acknowledged.has(notice.channel)) listener.onResync(notice);
      },
      onHistory: (answer) => {
        if (this.#isCurrent(answer.channel, answer.declaration)) listener.onHistory(answer);
      },
      onDegraded: (since) => listener.onDegraded(since),
      onRestored: () => listener.onRestored(),
      onAcknowledged: (acknowledgements) => this.#acknowledge(acknowledgements),
      onRefused: (refusals, code) => this.#refused(refusals, code),
    });
  }

  declare(channel: string, others = 0): void {
    this.#lastDeclaration += 1;
    this.#declarations.set(channel, this.#lastDeclaration);
    this.#change([channel, this.#lastDeclaration, undefined, others]);
  }

  drop(channel: string): void {
    this.#declarations.delete(channel);
    this.#acknowledged.delete(channel);
    this.#change([channel, undefined]);
  }

  readHistory(channel: string, from: number): void {
    this.#change([channel, this.#declarations.get(channel), from]);
  }

  /** Makes the calls that the hub posted. */
  receive(buffers: readonly Uint8Array<ArrayBuffer>[]): void {
    for (const bytes of buffers) {
      this.#unpacker.unpack(bytes);
      this.#consumedBytes += bytes.byteLength;
    }
    this.#schedule();
  }

  /** Ends its timer. Posts nothing any more. */
  close(): void {
    clearImmediate(this.#scheduled);
  }

  #acknowledge(numbered: readonly NumberedAcknowledgement[]): void {
    const current = numbered.filter(({ channel, declaration }) =>
      this.#isCurrent(channel, declaration),
    );
    for (const { channel } of current) this.#acknowledged.add(channel);
    if (current.length > 0) this.#listener.onAcknowledged(current);
  }

  #refused(numbered: readonly NumberedChannel[], code: ErrorCode): void {
    const current = numbered
      .filter(({ channel, declaration }) => this.#isCurrent(channel, declaration))
      .map(({ channel }) => channel);
    for (const channel of current) {
      this.#declarations.delete(channel);
      this.#acknowledged.delete(channel);
    }
    if (current.length > 0) this.#listener.onRefused(current, code);
  }

  #isCurrent(channel: string, declaration: number): boolean {
    return this.#declarations.get(channel) === declaration;
  }

  #change(change: InterestChange): void {
    this.#changes.push(change);
    this.#schedule();
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#post(this.#changes, this.#consumedBytes);
      this.#changes = [];
      this.#consumedBytes = 0;
    });
  }
}
