import type { PublicationLog, ReplayMemory } from '@tradewind/fanout';
import type { ChannelRequest, ErrorCode } from '@tradewind/protocol';
import { END_OF_CHANNEL } from '../feed.ts';
import type { Connection } from './connection.ts';
import type { HistoryBounds } from './history-bounds.ts';
import type { Asked } from './replay-plan.ts';
import { ChannelHistory } from './replay-source.ts';
import type { SubscribeAnswer } from './subscribe-reply.ts';

/** A subscription of one connection that is not answered yet. */
export interface WaitingAnswer {
  /** The answer to the request that decides. */
  readonly answer: SubscribeAnswer;
  /** Where else the same connection named the channel since. They are answered along, and wait for nothing of their own. */
  readonly others: SubscribeAnswer[];
  readonly request: ChannelRequest;
  readonly asked: Asked;
  /** What the connection's budget for replays was charged for it so far, in bytes. */
  chargedBytes: number;
  /** Seconds for which it has been kept waiting although the channel flows. */
  delayedSeconds: number;
}

/** What begins to wait. */
export function waitingAnswer(answer: SubscribeAnswer, request: ChannelRequest): WaitingAnswer {
  const asked: Asked = { end: 'unasked', failure: undefined };
  return { answer, others: [], request, asked, chargedBytes: 0, delayedSeconds: 0 };
}

/** A channel in which someone on this worker is interested. */
export class LocalChannel {
  readonly name: string;
  /** The hub's number for it, once the hub has acknowledged it. */
  ref: number | undefined;
  readonly history: ChannelHistory;
  /** Who waits for the acknowledgement, or for the channel's past. */
  readonly waiting = new Map<Connection, WaitingAnswer>();
  #asking: number | undefined;
  /** Whether that question was put in the present turn: whoever wants to know the same may share it. */
  #isAskedNow = false;

  constructor(name: string, log: PublicationLog, memory: ReplayMemory, bounds: HistoryBounds) {
    this.name = name;
    this.history = new ChannelHistory(name, log, memory, bounds);
  }

  /** From where on the hub is asked for the channel's past; undefined while it is not. See `Feed.readHistory`. */
  get asking(): number | undefined {
    return this.#asking;
  }

  /** Someone has begun to wait: shares a question that is being put right now. */
  joinsQuestion({ asked }: WaitingAnswer): void {
    if (this.#isAskedNow && this.#asking === END_OF_CHANNEL) asked.end = 'asked';
  }

  /** The hub is asked now, for all who wait. */
  ask(from: number): void {
    this.#asking = from;
    if (from !== END_OF_CHANNEL) {
      this.history.ask(from);
      return;
    }
    this.#isAskedNow = true;
    queueMicrotask(() => {
      this.#isAskedNow = false;
    });
    for (const { asked } of this.waiting.values()) if (asked.end === 'unasked') asked.end = 'asked';
  }

  /** The hub has answered. With a code nobody who waits is to wait any longer. */
  answered(code: ErrorCode | undefined): void {
    const isEnd = this.#asking === END_OF_CHANNEL;
    this.#asking = undefined;
    if (code !== undefined) this.history.unanswered();
    for (const { asked } of this.waiting.values()) {
      if (code !== undefined) asked.failure = code;
      else if (isEnd && asked.end === 'asked') asked.end = 'answered';
    }
  }

  /** A second has passed in which those who wait were kept waiting. Returns for how many seconds the first of them was. */
  delay(): number {
    let longest = 0;
    for (const each of this.waiting.values()) {
      each.delayedSeconds += 1;
      longest = Math.max(longest, each.delayedSeconds);
    }
    return longest;
  }
}
