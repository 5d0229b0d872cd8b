import type { PublicationLog, ReplayMemory } from '@tradewind/fanout';
import type { ChannelRequest, ErrorCode } from '@tradewind/protocol';
import { END_OF_CHANNEL } from '../feed.ts';
import type { Connection } from './connection.ts';
import type { HistoryBounds } from './history-bounds.ts';
import type { ReadProgress } from './replay-plan.ts';
import { ReplaySource } from './replay-source.ts';
import type { SubscribeReply } from './subscribe-reply.ts';

/** A subscription of one connection that is not answered yet. */
export interface PendingSubscription {
  /** The answer to the request that decides. */
  readonly reply: SubscribeReply;
  /** Where else the same connection named the channel since. They are answered along, and wait for nothing of their own. */
  readonly others: SubscribeReply[];
  readonly request: ChannelRequest;
  readonly progress: ReadProgress;
  /** What the connection's budget for replays was charged for it so far, in bytes. */
  chargedBytes: number;
  /** Seconds for which it has been kept waiting although the channel flows. */
  delayedSeconds: number;
}

/** What begins to wait. */
export function pendingSubscription(
  answer: SubscribeReply,
  request: ChannelRequest,
): PendingSubscription {
  const asked: ReadProgress = { end: 'unread', failure: undefined };
  return {
    reply: answer,
    others: [],
    request,
    progress: asked,
    chargedBytes: 0,
    delayedSeconds: 0,
  };
}

/** A channel in which someone on this worker is interested. */
export class SubscribedChannel {
  readonly name: string;
  /** The hub's number for it, once the hub has acknowledged it. */
  ref: number | undefined;
  readonly replaySource: ReplaySource;
  /** Who waits for the acknowledgement, or for the channel's past. */
  readonly waiting = new Map<Connection, PendingSubscription>();
  #pendingRead: number | undefined;
  /** Whether that question was put in the present turn: whoever wants to know the same may share it. */
  #isReadFresh = false;

  constructor(name: string, log: PublicationLog, memory: ReplayMemory, bounds: HistoryBounds) {
    this.name = name;
    this.replaySource = new ReplaySource(name, log, memory, bounds);
  }

  /** From where on the hub is asked for the channel's past; undefined while it is not. See `Feed.readHistory`. */
  get pendingRead(): number | undefined {
    return this.#pendingRead;
  }

  /** Someone has begun to wait: shares a question that is being put right now. */
  shareRead({ progress: asked }: PendingSubscription): void {
    if (this.#isReadFresh && this.#pendingRead === END_OF_CHANNEL) asked.end = 'pending';
  }

  /** The hub is asked now, for all who wait. */
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
    for (const { progress: asked } of this.waiting.values())
      if (asked.end === 'unread') asked.end = 'pending';
  }

  /** The hub has answered. With a code nobody who waits is to wait any longer. */
  endRead(code: ErrorCode | undefined): void {
    const isEnd = this.#pendingRead === END_OF_CHANNEL;
    this.#pendingRead = undefined;
    if (code !== undefined) this.replaySource.abandonRead();
    for (const { progress: asked } of this.waiting.values()) {
      if (code !== undefined) asked.failure = code;
      else if (isEnd && asked.end === 'pending') asked.end = 'read';
    }
  }

  /** A second has passed in which those who wait were kept waiting. Returns for how many seconds the first of them was. */
  countDelayedSecond(): number {
    let longest = 0;
    for (const each of this.waiting.values()) {
      each.delayedSeconds += 1;
      longest = Math.max(longest, each.delayedSeconds);
    }
    return longest;
  }
}
