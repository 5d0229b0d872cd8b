import {
  inOrder,
  type PublicationLog,
  type ReplayMemory,
  type WireChannel,
} from '@tradewind/fanout';
import type {
  SubscribedChannel as ChannelAnswer,
  ChannelRequest,
  Latest,
} from '@tradewind/protocol';
import type { HistoryAnswer } from '../../feed.ts';
import type { Connection } from '../connection/connection.ts';
import type { HistoryBounds } from '../replay/history-bounds.ts';
import type { ReadProgress } from '../replay/replay-plan.ts';
import { ReplaySource } from '../replay/replay-source.ts';
import type { SubscribeReply } from './subscribe-reply.ts';

/** A subscription of one client that was not answered yet. */
export interface PendingSubscription {
  /** The reply to the first request, which decides what is replayed. */
  readonly reply: SubscribeReply;
  /** Replies to later requests of the client for the same channel. They tell only the position, without a replay. */
  readonly others: SubscribeReply[];
  /** A later request of the client for the channel replaces its `latest`. */
  request: ChannelRequest;
  readonly progress: ReadProgress;
  /** Bytes that the client's replay budget was charged for it so far. */
  chargedBytes: number;
  /** Seconds that it has waited for memory or for its turn to read, although the channel is acknowledged. */
  delayedSeconds: number;
}

/** A subscription for which nothing was read or charged yet. */
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
  /** Undefined until the hub has acknowledged the channel. */
  wire: WireChannel | undefined;
  readonly replaySource: ReplaySource;
  /** Clients that wait for the acknowledgement, or for the channel's history. */
  readonly waiting = new Map<Connection, PendingSubscription>();
  #isReading = false;

  constructor(name: string, log: PublicationLog, memory: ReplayMemory, bounds: HistoryBounds) {
    this.name = name;
    this.replaySource = new ReplaySource(name, log, memory, bounds);
  }

  /** The channel's entry in the answer to a client that holds it. The channel must be acknowledged. */
  answerFor({ format }: Connection, latest: Latest | undefined): ChannelAnswer {
    const { ref, ts } = this.wire as WireChannel;
    const numbers = format.isBinary ? { ref, ts } : { ref };
    const { position } = this.replaySource;
    return { channel: this.name, ...numbers, ...position, ...(latest && { latest }) };
  }

  /** The frame that tells clients the channel's reference; undefined while there is none. */
  get referenceFrame(): Uint8Array | undefined {
    return this.wire?.reference?.frame;
  }

  /** Whether the hub has yet to answer a read. See `Feed.readHistory`. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Begins a read for all clients that wait. The caller must make the request to the hub. */
  beginRead(from: number): void {
    this.#isReading = true;
    this.replaySource.beginRead(from);
  }

  /**
   * Ends the pending read with the hub's answer. An answer with a code keeps all clients that wait from reading again.
   *
   * @returns the bytes of the publications that it holds; undefined if it has a code, or holds more than may be replayed.
   */
  endRead(answer: HistoryAnswer): number | undefined {
    this.#isReading = false;
    const { code } = answer;
    if (code !== undefined)
      for (const { progress } of this.waiting.values()) progress.failure = code;
    return this.#store(answer);
  }

  /** Counts a second for all clients that wait. Returns the longest wait so far, in seconds. */
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
