import type { Hole, Publication } from '@tradewind/fanout';
import type { ErrorCode, GapReason, Position } from '@tradewind/protocol';

/** A channel that the hub is now subscribed to in Redis. */
export interface Acknowledgement {
  readonly channel: string;
  /** The node's small number for the channel, the same as long as someone on the node holds it. */
  readonly ref: number;
  /** Where the channel stands: what follows on the feed is newer. Absent while it has no history. */
  readonly position?: Position;
}

/** Publications of a channel that will not arrive. */
export interface GapNotice {
  readonly channel: string;
  /** With `from` and `to`: the exact offsets, both inclusive. Absent for plain publications. */
  readonly epoch?: string;
  readonly from?: number;
  readonly to?: number;
  /** How many; absent when nobody can know. */
  readonly lost?: number;
  readonly reason: GapReason;
}

/** A channel begins a new epoch: what was before it cannot be continued. */
export interface ResyncNotice extends Position {
  readonly channel: string;
}

/** Publications of a channel that were asked for with {@link Feed.history}. */
export interface HistoryAnswer {
  readonly channel: string;
  readonly epoch: string;
  /**
   * In ascending order of offsets, and none newer than what was published on the feed before. Begins later
   * than asked for where Redis holds no more.
   */
  readonly publications: readonly Publication[];
  /**
   * What nobody can have of it, also in ascending order: together with the publications, all offsets from
   * the first to the last.
   */
  readonly gaps: readonly Hole[];
  /** Why there are none: the history could not be read. */
  readonly code?: ErrorCode;
  /**
   * What was asked for is more than is replayed of one channel. From this offset on it is not, or was not when it was
   * asked for; what there is from there on is in the answer.
   */
  readonly tooLongBefore?: number;
}

/** An answer that brings nothing. */
export function nothingOf(channel: string, epoch: string): HistoryAnswer {
  return { channel, epoch, publications: [], gaps: [] };
}

/** Instead of an offset: nothing is wanted but certainty about where the channel ends now. */
export const END_OF_CHANNEL = Number.POSITIVE_INFINITY;

/**
 * What a fan-out worker asks of upstream. It is all that it knows of Redis.
 *
 * Answers never arrive before the call that asked for them has returned.
 */
export interface Feed {
  /**
   * Says that someone here wants the channel. It is answered by `acknowledged` or `refused`.
   * A channel may be declared again only after it was refused or dropped.
   *
   * @param others how many channels the client that asks for it holds already: see `UnusedChannels`.
   */
  declare(channel: string, others?: number): void;
  /** Says that nobody here wants the channel any more. Nothing further arrives for it. */
  drop(channel: string): void;
  /**
   * Asks for the channel's publications from this offset on, up to the present one; or, with
   * {@link END_OF_CHANNEL}, whether the channel has come further, or to another epoch, than the node knew:
   * the answer is empty, and follows whatever the node did not know. To be called only while the channel
   * is acknowledged; answered once, by `history`, unless the channel is dropped or refused before: with a
   * code where the node knows no position, or is cut off. One answer is to be awaited at a time.
   */
  history(channel: string, from: number): void;
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
  resync(notice: ResyncNotice): void;
  history(answer: HistoryAnswer): void;
  /** The node is cut off from its source since then (ms since the Unix epoch). */
  degraded(since: number): void;
  restored(): void;
}
