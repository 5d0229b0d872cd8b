import type { Publication } from '@tradewind/fanout';
import type { ErrorCode, GapReason } from '@tradewind/protocol';

/** A channel that the hub is now subscribed to in Redis. */
export interface Acknowledgement {
  readonly channel: string;
  /** The node's small number for the channel, the same as long as someone on the node holds it. */
  readonly ref: number;
}

/** Publications of a channel that will not arrive. */
export interface GapNotice {
  readonly channel: string;
  /** How many; absent when nobody can know. */
  readonly lost?: number;
  readonly reason: GapReason;
}

/**
 * What a fan-out worker asks of upstream. It is all that it knows of Redis.
 *
 * Answers never arrive before the call that asked for them has returned.
 */
export interface Feed {
  /**
   * Says that someone here wants the channel. It is answered by `acknowledged` or `refused`.
   * A channel may be declared again only after it was refused or dropped.
   */
  declare(channel: string): void;
  /** Says that nobody here wants the channel any more. Nothing further arrives for it. */
  drop(channel: string): void;
}

/**
 * What a fan-out worker is told by upstream. The order of the calls is the order of events: what
 * follows a channel's `acknowledged` belongs to it, and a `gap` precedes the next publication.
 */
export interface FeedListener {
  /** These channels flow from here on. */
  acknowledged(acknowledgements: readonly Acknowledgement[]): void;
  /** These channels do not flow, or no longer do. They count as dropped. */
  refused(channels: readonly string[], code: ErrorCode): void;
  published(publication: Publication): void;
  gap(notice: GapNotice): void;
  /** The node is cut off from its source since then (ms since the Unix epoch). */
  degraded(since: number): void;
  restored(): void;
}
