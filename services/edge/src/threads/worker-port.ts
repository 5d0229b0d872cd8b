import type { WireChannel } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import {
  type Acknowledgement,
  type Feed,
  type FeedListener,
  type HistoryAnswer,
  wireReference,
} from '../feed.ts';
import {
  type CrossingReference,
  FeedUnpacker,
  type NumberedAcknowledgement,
  type NumberedChannel,
  type NumberedEnd,
  type NumberedFeedListener,
  type NumberedHistory,
} from './feed-codec.ts';
import type { FeedCall } from './worker-messages.ts';

/** A read that the hub has not answered. */
interface PendingRead {
  readonly number: number;
  readonly onAnswer: (answer: HistoryAnswer) => void;
}

type OnEndConfirmed = (code: ErrorCode | undefined) => void;

/**
 * A worker's end of the port to the hub in another thread. It collects the calls of the feed and posts them once a turn of the
 * event loop.
 *
 * Calls and their answers carry numbers. An answer that was on its way while the worker dropped the channel
 * and declared it again belongs to the old declaration, and is ignored.
 */
export class WorkerPort implements Feed {
  readonly #post: (calls: readonly FeedCall[], consumedBytes: number) => void;
  readonly #listener: FeedListener;
  readonly #declarations = new Map<string, number>();
  /**
   * Channels that are acknowledged, with what this thread's publications of them refer to. A call for any other channel was in
   * flight when the worker dropped the channel, and is ignored.
   */
  readonly #acknowledged = new Map<string, WireChannel>();
  /** Channels that are wanted deflated. */
  readonly #deflated = new Set<string>();
  readonly #unpacker: FeedUnpacker;
  readonly #reads = new Map<string, PendingRead>();
  /** Unanswered requests to confirm a channel's end, by channel and number. */
  readonly #ends = new Map<string, Map<number, OnEndConfirmed>>();
  #lastNumber = 0;
  #calls: FeedCall[] = [];
  #consumedBytes = 0;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(
    post: (calls: readonly FeedCall[], consumedBytes: number) => void,
    listener: FeedListener,
  ) {
    this.#post = post;
    this.#listener = listener;
    const calls: NumberedFeedListener = {
      onPublication: (publication) => {
        if (publication.wire !== undefined) listener.onPublication(publication);
      },
      onReference: (reference) => this.#refer(reference),
      onGap: (notice) => {
        if (this.#acknowledged.has(notice.channel)) listener.onGap(notice);
      },
      onResync: (notice) => {
        if (this.#acknowledged.has(notice.channel)) listener.onResync(notice);
      },
      onHistory: (answer) => this.#answerRead(answer),
      onEndConfirmed: (answer) => this.#answerEnd(answer),
      onDegraded: (since, channels) => listener.onDegraded(since, channels),
      onRestored: () => listener.onRestored(),
      onAcknowledged: (acknowledgements) => this.#acknowledge(acknowledgements),
      onRefused: (refusals, code) => this.#refused(refusals, code),
    };
    this.#unpacker = new FeedUnpacker(calls, (channel) => this.#acknowledged.get(channel));
  }

  declare(channel: string, others = 0): void {
    const number = this.#nextNumber();
    this.#declarations.set(channel, number);
    this.#call({ kind: 'declare', channel, number, others });
  }

  drop(channel: string): void {
    this.#forget(channel);
    this.#call({ kind: 'drop', channel });
  }

  wantDeflated(channel: string, isWanted: boolean): void {
    if (isWanted) this.#deflated.add(channel);
    else {
      this.#deflated.delete(channel);
      // References that come now are ignored. So the next client that reads binary frames must not be told this one, which may be outdated.
      const wire = this.#acknowledged.get(channel);
      if (wire !== undefined) wire.reference = undefined;
    }
    this.#call({ kind: 'want-deflated', channel, isWanted });
  }

  readHistory(channel: string, from: number, onAnswer: (answer: HistoryAnswer) => void): void {
    const number = this.#nextNumber();
    this.#reads.set(channel, { number, onAnswer });
    this.#call({ kind: 'read-history', channel, number, from });
  }

  confirmEnd(channel: string, onConfirmed: OnEndConfirmed): void {
    const number = this.#nextNumber();
    const ends = this.#ends.get(channel) ?? new Map<number, OnEndConfirmed>();
    this.#ends.set(channel, ends.set(number, onConfirmed));
    this.#call({ kind: 'confirm-end', channel, number });
  }

  /** Makes the calls of the feed that the hub posted. */
  makeCalls(buffers: readonly Uint8Array<ArrayBuffer>[]): void {
    for (const bytes of buffers) {
      this.#unpacker.unpack(bytes);
      this.#consumedBytes += bytes.byteLength;
    }
    this.#schedule();
  }

  /** Ends its timer, and posts nothing any more. */
  close(): void {
    clearImmediate(this.#scheduled);
  }

  #acknowledge(numbered: readonly NumberedAcknowledgement[]): void {
    const current: Acknowledgement[] = [];
    for (const { channel, declaration, ref, ts, ...position } of numbered) {
      if (!this.#isCurrent(channel, declaration)) continue;
      const wire: WireChannel = { ref, ts, reference: undefined };
      this.#acknowledged.set(channel, wire);
      current.push({ channel, wire, ...position });
    }
    if (current.length > 0) this.#listener.onAcknowledged(current);
  }

  #refer({ channel, id, data }: CrossingReference): void {
    const wire = this.#acknowledged.get(channel);
    if (wire === undefined || !this.#deflated.has(channel)) return;
    wire.reference = wireReference(wire.ref, id, data);
    this.#listener.onReference(channel, wire);
  }

  #refused(numbered: readonly NumberedChannel[], code: ErrorCode): void {
    const current = numbered
      .filter(({ channel, declaration }) => this.#isCurrent(channel, declaration))
      .map(({ channel }) => channel);
    for (const channel of current) this.#forget(channel);
    if (current.length > 0) this.#listener.onRefused(current, code);
  }

  #answerRead({ number, ...answer }: NumberedHistory): void {
    const read = this.#reads.get(answer.channel);
    if (read?.number !== number) return;
    this.#reads.delete(answer.channel);
    read.onAnswer(answer);
  }

  #answerEnd({ channel, number, code }: NumberedEnd): void {
    const ends = this.#ends.get(channel);
    const onConfirmed = ends?.get(number);
    ends?.delete(number);
    if (ends?.size === 0) this.#ends.delete(channel);
    onConfirmed?.(code);
  }

  #forget(channel: string): void {
    this.#declarations.delete(channel);
    this.#acknowledged.delete(channel);
    this.#deflated.delete(channel);
    this.#reads.delete(channel);
    this.#ends.delete(channel);
  }

  #isCurrent(channel: string, declaration: number): boolean {
    return this.#declarations.get(channel) === declaration;
  }

  #nextNumber(): number {
    this.#lastNumber += 1;
    return this.#lastNumber;
  }

  #call(call: FeedCall): void {
    this.#calls.push(call);
    this.#schedule();
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#post(this.#calls, this.#consumedBytes);
      this.#calls = [];
      this.#consumedBytes = 0;
    });
  }
}
