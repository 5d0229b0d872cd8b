import type { Hole, Publication } from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';
import { type FeedListener, type HistoryAnswer, nothingOf } from '../feed.ts';

interface Request {
  readonly from: number;
  /** When the request came, in ms on the monotonic clock. */
  readonly askedAt: number;
  /** The channel's offset when the request came: an answer must reach so far. */
  until: number;
  readonly onAnswer: (answer: HistoryAnswer) => void;
}

/** A part of a channel's history as workers are given it; see `HistoryAnswer`. */
export interface EncodedHistory {
  readonly publications: readonly Publication[];
  readonly gaps: readonly Hole[];
}

/** One read of a channel's history. */
export interface HistoryRead {
  /** The first offset that was asked for. */
  readonly from: number;
  /** The channel's offset when it was read; 0 if the read cannot answer anybody. */
  readonly end: number;
  /** The channel's epoch when it was read; undefined if it had none. */
  readonly epoch: string | undefined;
  readonly history: EncodedHistory;
  /** See `HistoryAnswer`. */
  readonly tooLongBefore: number | undefined;
}

/**
 * Workers that wait for a channel's history. A worker that asks while a read is under way shares its result if that reaches
 * far enough back and forth. So a channel costs Redis one read for the whole node, or two.
 */
export class HistoryRequests {
  readonly #channel: string;
  readonly #requests = new Map<FeedListener, Request>();

  constructor(channel: string) {
    this.#channel = channel;
  }

  get isEmpty(): boolean {
    return this.#requests.size === 0;
  }

  /** The earliest offset that was asked for; infinite when nobody waits. */
  get from(): number {
    return Math.min(...[...this.#requests.values()].map(({ from }) => from));
  }

  /** The offset that an answer to all must reach; 0 when nobody waits. */
  get until(): number {
    return Math.max(0, ...[...this.#requests.values()].map(({ until }) => until));
  }

  /** When the oldest request came, in ms on the monotonic clock; infinite when nobody waits. */
  get askedAt(): number {
    return Math.min(...[...this.#requests.values()].map(({ askedAt }) => askedAt));
  }

  add(
    listener: FeedListener,
    from: number,
    until: number,
    onAnswer: (answer: HistoryAnswer) => void,
  ): void {
    this.#requests.set(listener, { from, until, onAnswer, askedAt: performance.now() });
  }

  /** A new epoch begins after this offset. How far the old one had gone says nothing about it. */
  enterEpoch(offset: number): void {
    for (const request of this.#requests.values()) request.until = Math.min(request.until, offset);
  }

  drop(listener: FeedListener): void {
    this.#requests.delete(listener);
  }

  /**
   * Answers the workers that a read can answer. The others wait for the next one.
   *
   * @param present up to where the channel was delivered: nothing newer is part of an answer.
   */
  answer(read: HistoryRead, present: Position): void {
    const { from, end, tooLongBefore = 0 } = read;
    const isSameEpoch = read.epoch === present.epoch;
    const answer: HistoryAnswer = {
      ...nothingOf(this.#channel, read.epoch ?? present.epoch),
      ...(isSameEpoch ? upTo(present.offset, read.history) : {}),
    };
    // A worker that is answered may ask again at once: that request is for the next read.
    for (const [listener, request] of [...this.#requests]) {
      if (isSameEpoch && (request.from < from || request.until > end)) continue;
      this.#requests.delete(listener);
      const isTooLong = isSameEpoch && request.from < tooLongBefore;
      request.onAnswer(isTooLong ? { ...answer, tooLongBefore } : answer);
    }
  }

  /** Tells all workers that their requests cannot be answered. */
  fail(epoch: string, code: ErrorCode): void {
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { onAnswer } of requests) onAnswer({ ...nothingOf(this.#channel, epoch), code });
  }
}

function upTo(last: number, { publications, gaps }: EncodedHistory): EncodedHistory {
  return {
    publications: publications.filter(({ offset }) => offset <= last),
    gaps: gaps
      .filter(({ from }) => from <= last)
      .map((gap) => ({ ...gap, to: Math.min(gap.to, last) })),
  };
}
