import type { Hole, Publication } from '@tradewind/fanout';
import type { ErrorCode, Position } from '@tradewind/protocol';
import { type Acknowledgement, type FeedListener, type HistoryAnswer, nothingOf } from '../feed.ts';

/** The workers that wait for something of one channel, and what each waits for. */
export class ChannelWaiters {
  /** Workers that were not told yet that they have the channel. */
  readonly unacknowledged = new Set<FeedListener>();
  /** Requests for history of workers whose clients resume. */
  readonly requests: HistoryRequests;
  /** Requests for history of workers that missed publications themselves. */
  readonly fillIns: HistoryRequests;
  readonly endRequests = new EndRequests();

  /** @param channel the channel's name. */
  constructor(channel: string) {
    this.requests = new HistoryRequests(channel);
    this.fillIns = new HistoryRequests(channel);
  }

  /** Drops all requests of a worker that does not want the channel any more. */
  drop(listener: FeedListener): void {
    this.unacknowledged.delete(listener);
    for (const each of [this.requests, this.fillIns, this.endRequests]) each.drop(listener);
  }

  /** A new epoch begins after this offset. */
  enterEpoch(offset: number): void {
    for (const each of [this.requests, this.fillIns]) each.enterEpoch(offset);
  }

  /** Tells all workers that wait for history that it cannot be read. */
  failHistory(epoch: string, code: ErrorCode): void {
    for (const each of [this.fillIns, this.requests]) each.fail(epoch, code);
  }
}

/**
 * Collects acknowledgements and sends them with one call for each worker: before the worker hears anything else, and at
 * the latest in the next microtask.
 */
export class Acknowledgements {
  readonly #isListening: (channel: string, listener: FeedListener) => boolean;
  #unsent: (readonly [FeedListener, Acknowledgement])[] = [];
  /** Whether {@link send} has anything to send. For others it is read-only. */
  hasUnsent = false;

  /** @param isListening whether the worker still wants the channel. */
  constructor(isListening: (channel: string, listener: FeedListener) => boolean) {
    this.#isListening = isListening;
  }

  /** Adds an acknowledgement for each of these workers. */
  add(listeners: Iterable<FeedListener>, acknowledgement: Acknowledgement): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.send());
    for (const listener of listeners) this.#unsent.push([listener, acknowledgement]);
    this.hasUnsent = this.#unsent.length > 0;
  }

  /** Sends what was collected. Call it before a worker is told anything else of a channel. */
  send(): void {
    if (!this.hasUnsent) return;
    const lists = new Map<FeedListener, Acknowledgement[]>();
    for (const [listener, acknowledgement] of this.#unsent) {
      if (!this.#isListening(acknowledgement.channel, listener)) continue;
      const list = lists.get(listener) ?? [];
      lists.set(listener, list);
      list.push(acknowledgement);
    }
    this.#unsent = [];
    this.hasUnsent = false;
    for (const [listener, list] of lists) listener.onAcknowledged(list);
  }
}

interface Request {
  readonly from: number;
  /** When the request came, in ms on the monotonic clock. */
  readonly askedAt: number;
  /** The channel's offset when the request came, which an answer must reach. */
  until: number;
  readonly onAnswer: (answer: HistoryAnswer) => void;
}

/** A part of a channel's history, encoded for workers; see `HistoryAnswer`. */
export interface EncodedHistory {
  readonly publications: readonly Publication[];
  readonly gaps: readonly Hole[];
}

/** One read of a channel's history. */
export interface HistoryRead {
  /** The first offset that was requested. */
  readonly from: number;
  /** The channel's offset when it was read; 0 if the read cannot answer any request. */
  readonly end: number;
  /** The channel's epoch when it was read; undefined if it had none. */
  readonly epoch: string | undefined;
  readonly history: EncodedHistory;
  /** See `HistoryAnswer`. */
  readonly tooLongBefore: number | undefined;
}

/**
 * Workers that wait for a channel's history. A request that comes while a read is under way shares its result, if that begins
 * early enough and ends late enough. So a channel costs Redis one read for the whole node, or two.
 */
export class HistoryRequests {
  readonly #channel: string;
  readonly #requests = new Map<FeedListener, Request>();

  constructor(channel: string) {
    this.#channel = channel;
  }

  /** Whether no worker waits. */
  get isEmpty(): boolean {
    return this.#requests.size === 0;
  }

  /** The earliest offset that was requested; infinite if no worker waits. */
  get from(): number {
    return Math.min(...[...this.#requests.values()].map(({ from }) => from));
  }

  /** The offset that an answer to all requests must reach; 0 if no worker waits. */
  get until(): number {
    return Math.max(0, ...[...this.#requests.values()].map(({ until }) => until));
  }

  /** When the oldest request came, in ms on the monotonic clock; infinite if no worker waits. */
  get askedAt(): number {
    return Math.min(...[...this.#requests.values()].map(({ askedAt }) => askedAt));
  }

  /**
   * Adds the request of a worker, and replaces an older one.
   *
   * @param from the first offset that it needs.
   * @param until the channel's present offset, which the answer must reach.
   */
  add(
    listener: FeedListener,
    from: number,
    until: number,
    onAnswer: (answer: HistoryAnswer) => void,
  ): void {
    this.#requests.set(listener, { from, until, onAnswer, askedAt: performance.now() });
  }

  /** Lowers what answers must reach, because a new epoch begins after this offset and need not reach the end of the old one. */
  enterEpoch(offset: number): void {
    for (const request of this.#requests.values()) request.until = Math.min(request.until, offset);
  }

  drop(listener: FeedListener): void {
    this.#requests.delete(listener);
  }

  /**
   * Answers the workers that a read can answer. The others wait for the next one.
   *
   * @param present the position up to which the channel was delivered. Answers hold nothing newer.
   */
  answer(read: HistoryRead, present: Position): void {
    const { from, end, tooLongBefore = 0 } = read;
    const isSameEpoch = read.epoch === present.epoch;
    const answer: HistoryAnswer = {
      ...nothingOf(this.#channel, read.epoch ?? present.epoch),
      ...(isSameEpoch ? upTo(present.offset, read.history) : {}),
    };
    // A copy, because a worker that is answered may make another request at once, which is for the next read.
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

/** See `Feed.confirmEnd`. */
export type OnEndConfirmed = (code: ErrorCode | undefined) => void;

interface EndRequest {
  readonly listener: FeedListener;
  readonly onConfirmed: OnEndConfirmed;
  /** Whether its read has not begun, is under way, or has returned a position. */
  stage: 'waiting' | 'reading' | 'answered';
}

/**
 * Requests of workers to confirm where a channel ends. A worker makes one if a client says that it is ahead of this node, or that
 * the channel has another epoch. The client may be right, because a publication reaches one node before another. Only a read of
 * the position that begins after the request can answer it, once everything up to that position was delivered.
 */
class EndRequests {
  #requests: EndRequest[] = [];

  /** Whether there is a request whose read has not begun. */
  get isWaiting(): boolean {
    return this.#requests.some(({ stage }) => stage === 'waiting');
  }

  /** Adds a request. The caller must begin a read of the position. */
  add(listener: FeedListener, onConfirmed: OnEndConfirmed): void {
    this.#requests.push({ listener, onConfirmed, stage: 'waiting' });
  }

  drop(listener: FeedListener): void {
    this.#requests = this.#requests.filter((request) => request.listener !== listener);
  }

  /** Assigns the waiting requests to a read that begins now. */
  markReading(): void {
    this.#move('waiting', 'reading');
  }

  /** Records that the read under way has returned a position. */
  markAnswered(): void {
    this.#move('reading', 'answered');
  }

  /** Makes the requests of the read under way wait for another one, because its answer does not count. */
  putBack(): void {
    this.#move('reading', 'waiting');
  }

  /** Removes the requests whose read has returned a position. Everything up to it must have been delivered. */
  takeAnswered(): OnEndConfirmed[] {
    if (this.#requests.length === 0) return [];
    const taken = this.#requests.filter(({ stage }) => stage === 'answered');
    this.#requests = this.#requests.filter(({ stage }) => stage !== 'answered');
    return taken.map(({ onConfirmed }) => onConfirmed);
  }

  /** Removes all requests, because none of them can be answered. */
  takeAll(): OnEndConfirmed[] {
    const taken = this.#requests;
    this.#requests = [];
    return taken.map(({ onConfirmed }) => onConfirmed);
  }

  #move(from: EndRequest['stage'], to: EndRequest['stage']): void {
    for (const request of this.#requests) if (request.stage === from) request.stage = to;
  }
}
