import type { Hole, Publication, WireChannel, WireReference } from '@tradewind/fanout';
import {
  type ErrorCode,
  encodeServerMessage,
  type GapReason,
  type Position,
} from '@tradewind/protocol';

/** A channel that the hub has subscribed to in Redis. */
export interface Acknowledgement {
  readonly channel: string;
  /** Its number is the same for all workers of the node, while any of them wants the channel. */
  readonly wire: WireChannel;
  /** The channel's latest publication; the feed continues after it. Absent while the channel has no history. */
  readonly position?: Position;
}

/** Publications of a channel that will not arrive. */
export interface GapNotice {
  readonly channel: string;
  /** `epoch`, `from` and `to` name the exact offsets, both inclusive. All three are absent for plain publications. */
  readonly epoch?: string;
  readonly from?: number;
  readonly to?: number;
  /** The number of lost publications; absent when nobody can know it. */
  readonly lost?: number;
  readonly reason: GapReason;
}

/** A channel begins a new epoch. No position of an earlier epoch can be continued. */
export interface ResyncNotice extends Position {
  readonly channel: string;
}

/** The answer to {@link Feed.readHistory}. */
export interface HistoryAnswer {
  readonly channel: string;
  readonly epoch: string;
  /**
   * In ascending order of offsets. None is newer than the latest publication on the feed. The first one is later than
   * requested if Redis has trimmed those before it.
   */
  readonly publications: readonly Publication[];
  /**
   * Offsets that nobody can deliver, in ascending order. Publications and gaps together cover every offset from the
   * first to the last.
   */
  readonly gaps: readonly Hole[];
  /** Why the history could not be read. If set, there are no publications and no gaps. */
  readonly code?: ErrorCode;
  /**
   * Set if the request asked for more than may be replayed of one channel. The publications from this offset on were within the
   * bound when the history was read; the answer holds those of them that still exist.
   */
  readonly tooLongBefore?: number;
}

/** An answer without publications and gaps. */
export function nothingOf(channel: string, epoch: string): HistoryAnswer {
  return { channel, epoch, publications: [], gaps: [] };
}

/**
 * What a fan-out worker requests of the hub. The worker knows nothing else of Redis.
 *
 * No answer arrives before the call that requested it has returned.
 */
export interface Feed {
  /**
   * Declares that a client of this worker wants the channel. The answer is `onAcknowledged` or `onRefused`.
   * A channel may be declared again only after it was refused or dropped.
   *
   * @param others the number of channels that the asking client already holds; see `UnusedChannels`.
   */
  declare(channel: string, others?: number): void;
  /** Says that no client of this worker wants the channel any more. Nothing further arrives for it. */
  drop(channel: string): void;
  /**
   * Says whether a client of this worker reads binary frames of the channel. While one does, publications may arrive deflated, and
   * each reference arrives before the first publication that needs it. Has no effect on a channel that is not declared.
   */
  wantDeflated(channel: string, isWanted: boolean): void;
  /**
   * Reads the channel's publications from this offset up to the latest one. `onAnswer` is called once, in its order in the feed,
   * unless the channel is dropped or refused before. The answer carries a code if the node knows no position or cannot
   * read.
   *
   * The channel must be acknowledged, and only one read of it may be outstanding.
   */
  readHistory(channel: string, from: number, onAnswer: (answer: HistoryAnswer) => void): void;
  /**
   * Checks in Redis where the channel ends: it may be further than the node knew, or in another epoch. The feed first delivers what
   * the node did not know. Then `onConfirmed` is called once, in its order in the feed, unless the channel is dropped or
   * refused before; with a code if the end cannot be read.
   *
   * The channel must be acknowledged.
   */
  confirmEnd(channel: string, onConfirmed: (code: ErrorCode | undefined) => void): void;
}

/**
 * What the hub tells a fan-out worker. The order of the calls is the order of events: calls after a channel's
 * `onAcknowledged` belong to that declaration, and `onGap` precedes the next publication.
 */
export interface FeedListener {
  /** The publications of these channels arrive from here on. */
  onAcknowledged(acknowledgements: readonly Acknowledgement[]): void;
  /** Publications of these channels do not arrive, or no longer do. The channels count as dropped. */
  onRefused(channels: readonly string[], code: ErrorCode): void;
  onPublication(publication: Publication): void;
  /** The channel has another reference, which `wire` holds already. Clients that read binary frames must be told it now. */
  onReference(channel: string, wire: WireChannel): void;
  onGap(notice: GapNotice): void;
  onResync(notice: ResyncNotice): void;
  /**
   * The node has been cut off from Redis since then (ms since the Unix epoch).
   *
   * @param channels the channels of this worker that are cut off, because their shard of a cluster is away; undefined if all
   *   are. A later call replaces an earlier one.
   */
  onDegraded(since: number, channels?: readonly string[]): void;
  /** The node reaches Redis again, or does so for the first time. */
  onRestored(): void;
}

/** A reference with the frame that tells it. */
export function wireReference(ref: number, id: number, data: string): WireReference {
  return { id, data, frame: encodeServerMessage({ type: 'reference', ref, id, data }) };
}
