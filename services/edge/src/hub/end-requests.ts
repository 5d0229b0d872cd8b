import type { ErrorCode } from '@tradewind/protocol';
import type { FeedListener } from '../feed.ts';

/** See `Feed.confirmEnd`. */
export type OnEndConfirmed = (code: ErrorCode | undefined) => void;

interface EndRequest {
  readonly listener: FeedListener;
  readonly onConfirmed: OnEndConfirmed;
  /** Whether a read for it is still to begin, is under way, or has brought a position. */
  stage: 'waiting' | 'reading' | 'answered';
}

/**
 * Requests of workers to be told where a channel ends. A worker asks when a client says that it has gone further than this node,
 * or that the channel has another epoch. It may be right: a publication reaches one node before another. Only a read of
 * the position that begins after the request can answer it, once everything up to that position was delivered.
 */
export class EndRequests {
  #requests: EndRequest[] = [];

  /** Whether a request waits for which no read has begun yet. */
  get isWaiting(): boolean {
    return this.#requests.some(({ stage }) => stage === 'waiting');
  }

  add(listener: FeedListener, onConfirmed: OnEndConfirmed): void {
    this.#requests.push({ listener, onConfirmed, stage: 'waiting' });
  }

  drop(listener: FeedListener): void {
    this.#requests = this.#requests.filter((request) => request.listener !== listener);
  }

  /** A read begins now. It answers all that wait. */
  markReading(): void {
    this.#move('waiting', 'reading');
  }

  /** The read has brought a position. */
  markAnswered(): void {
    this.#move('reading', 'answered');
  }

  /** The read does not count. Requests that waited for it wait for another one. */
  putBack(): void {
    this.#move('reading', 'waiting');
  }

  /** Removes those whose read has brought a position. Everything up to it must have been delivered. */
  takeAnswered(): OnEndConfirmed[] {
    if (this.#requests.length === 0) return [];
    const taken = this.#requests.filter(({ stage }) => stage === 'answered');
    this.#requests = this.#requests.filter(({ stage }) => stage !== 'answered');
    return taken.map(({ onConfirmed }) => onConfirmed);
  }

  /** Removes all, because none of them can be answered. */
  takeAll(): OnEndConfirmed[] {
    const taken = this.#requests;
    this.#requests = [];
    return taken.map(({ onConfirmed }) => onConfirmed);
  }

  #move(from: EndRequest['stage'], to: EndRequest['stage']): void {
    for (const request of this.#requests) if (request.stage === from) request.stage = to;
  }
}
