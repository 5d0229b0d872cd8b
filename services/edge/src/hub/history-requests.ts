import type { Hole, Publication } from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';
import { type FeedListener, type HistoryAnswer, nothingOf } from '../feed.ts';

interface Request {
  readonly from: number;
  /** When it was asked, in ms on the monotonic clock. */
  readonly askedAt: number;
  /** The channel's offset when it was asked for: an answer must reach so far. */
  until: number;
}

/** A part of a channel's past: see `HistoryAnswer`. */
export interface Past {
  readonly publications: readonly Publication[];
  readonly gaps: readonly Hole[];
}

/** One read of a channel's history. */
export interface HistoryRead {
  /** The first offset that was wanted. */
  readonly from: number;
  /** How far the channel had come; 0 if what was read is of no use. */
  readonly end: number;
  /** The epoch in which the channel was; undefined if it had none. */
  readonly epoch: string | undefined;
  readonly past: Past;
  /** See `HistoryAnswer`. */
  readonly tooLongBefore: number | undefined;
}

/**
 * Workers that wait for a channel's history. Whoever asks while a read is under way shares its result if
 * that goes far enough back and forth; so a channel costs Redis one read for the node, or two.
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

  /** The earliest offset that is wanted; infinite when none is. */
  get from(): number {
    return Math.min(...[...this.#requests.values()].map(({ from }) => from));
  }

  /** The furthest that an answer has to reach; 0 when none is wanted. */
  get until(): number {
    return Math.max(0, ...[...this.#requests.values()].map(({ until }) => until));
  }

  /** When the oldest of them was asked, in ms on the monotonic clock; infinite when there is none. */
  get askedAt(): number {
    return Math.min(...[...this.#requests.values()].map(({ askedAt }) => askedAt));
  }

  add(listener: FeedListener, from: number, until: number): void {
    this.#requests.set(listener, { from, until, askedAt: performance.now() });
  }

  /** A new epoch begins behind this offset: how far the old one had come says nothing about it. */
  renew(offset: number): void {
    for (const request of this.#requests.values()) request.until = Math.min(request.until, offset);
  }

  drop(listener: FeedListener): void {
    this.#requests.delete(listener);
  }

  /**
   * Answers all that a read can answer; the others wait for the next one.
   *
   * @param present how far the channel has been passed on: nothing newer is part of an answer.
   */
  answer(read: HistoryRead, present: Position): void {
    const { from, end, tooLongBefore = 0 } = read;
    const isSameEpoch = read.epoch === present.epoch;
    const answer: HistoryAnswer = {
      ...nothingOf(this.#channel, read.epoch ?? present.epoch),
      ...(isSameEpoch ? upTo(present.offset, read.past) : {}),
    };
    // Who is answered may ask again at once: that question is for the next read.
    for (const [listener, request] of [...this.#requests]) {
      if (isSameEpoch && (request.from < from || request.until > end)) continue;
      this.#requests.delete(listener);
      const isTooLong = isSameEpoch && request.from < tooLongBefore;
      listener.onHistory(isTooLong ? { ...answer, tooLongBefore } : answer);
    }
  }

  /** Tells all who wait that there is no history to be had. */
  fail(epoch: string, code: ErrorCode): void {
    const listeners = [...this.#requests.keys()];
    this.#requests.clear();
    for (const listener of listeners) {
      listener.onHistory({ ...nothingOf(this.#channel, epoch), code });
    }
  }
}

function upTo(last: number, { publications, gaps }: Past): Past {
  return {
    publications: publications.filter(({ offset }) => offset <= last),
    gaps: gaps
      .filter(({ from }) => from <= last)
      .map((gap) => ({ ...gap, to: Math.min(gap.to, last) })),
  };
}
