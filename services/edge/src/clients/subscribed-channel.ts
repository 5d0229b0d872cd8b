import { inOrder, type PublicationLog, type ReplayMemory } from '@tradewind/fanout';
import type { ChannelRequest } from '@tradewind/protocol';
import { END_OF_CHANNEL, type HistoryAnswer } from '../feed.ts';
import type { Connection } from './connection.ts';
import type { HistoryBounds } from './history-bounds.ts';
import type { ReadProgress } from './replay-plan.ts';
import { ReplaySource } from './replay-source.ts';
import type { SubscribeReply } from './subscribe-reply.ts';

/** A subscription of one client that is not answered yet. */
export interface PendingSubscription {
  /** The reply to the request that asked first, and decides. */
  readonly reply: SubscribeReply;
  /** Replies to later requests of the client for the same channel. They get the position alone, and read nothing. */
  readonly others: SubscribeReply[];
  readonly request: ChannelRequest;
  readonly progress: ReadProgress;
  /** Bytes that the client's replay budget was charged for it so far. */
  chargedBytes: number;
  /** Seconds that it has waited for memory or for its turn to read, although the channel flows. */
  delayedSeconds: number;
}

export function pendingSubscription(
  reply: SubscribeReply,
  request: ChannelRequest,
): PendingSubscription {
  const progress: ReadProgress = { end: 'unread', failure: undefined };
  return { reply, others: [], request, progress, chargedBytes: 0, delayedSeconds: 0 };
}

/** A channel that a client of this worker holds or waits for. */
export class SubscribedChannel {
  readonly name: string;
  /** The node's number for the channel; undefined until the hub has acknowledged it. */
  ref: number | undefined;
  readonly replaySource: ReplaySource;
  /** Clients that wait for the acknowledgement, or for the channel's history. */
  readonly waiting = new Map<Connection, PendingSubscription>();
  #pendingRead: number | undefined;
  /** Whether the pending read began in this turn. Only then may a client that asks for the same share it. */
  #isReadFresh = false;

  constructor(name: string, log: PublicationLog, memory: ReplayMemory, bounds: HistoryBounds) {
    this.name = name;
    this.replaySource = new ReplaySource(name, log, memory, bounds);
  }

  /** The first offset of the read that the hub has not answered; undefined without one. See `Feed.readHistory`. */
  get pendingRead(): number | undefined {
    return this.#pendingRead;
  }

  /** Lets a client that begins to wait share a read of the channel's end, if that began in this turn. */
  shareRead({ progress }: PendingSubscription): void {
    if (this.#isReadFresh && this.#pendingRead === END_OF_CHANNEL) progress.end = 'pending';
  }

  /** Begins a read for all who wait. The caller asks the hub. */
  beginRead(from: number): void {
    this.#pendingRead = from;
    if (from !== END_OF_CHANNEL) {
      this.replaySource.beginRead(from);
      return;
    }
    this.#isReadFresh = true;
    queueMicrotask(() => {
      this.#isReadFresh = false;
    });
    for (const { progress } of this.waiting.values()) {
      if (progress.end === 'unread') progress.end = 'pending';
    }
  }

  /**
   * Ends the pending read with the hub's answer. After an answer with a code, nobody who waits reads again.
   *
   * @returns the bytes of the publications that it brought; undefined if it brought none.
   */
  endRead(answer: HistoryAnswer): number | undefined {
    const isEnd = this.#pendingRead === END_OF_CHANNEL;
    this.#pendingRead = undefined;
    const { code } = answer;
    for (const { progress } of this.waiting.values()) {
      if (code !== undefined) progress.failure = code;
      else if (isEnd && progress.end === 'pending') progress.end = 'read';
    }
    return this.#store(answer);
  }

  /** Counts a second for all who wait. Returns the longest wait so far, in seconds. */
  countDelayedSecond(): number {
    let longest = 0;
    for (const each of this.waiting.values()) {
      each.delayedSeconds += 1;
      longest = Math.max(longest, each.delayedSeconds);
    }
    return longest;
  }

  #store({ epoch, publications, gaps, code, tooLongBefore }: HistoryAnswer): number | undefined {
    if (code !== undefined) this.replaySource.abandonRead();
    else if (tooLongBefore === undefined) {
      return this.replaySource.storeRead(epoch, inOrder(publications, gaps));
    } else this.replaySource.rejectRead(epoch, tooLongBefore);
    return undefined;
  }
}
