import type { Position } from '@tradewind/protocol';

/** A publication with an offset, as the channel's history in Redis holds it. */
export interface HistoryEntry {
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly publishedAt: number;
  /** Without the header. */
  readonly payload: Buffer;
}

/** A message of a channel, as Redis delivered it. */
export interface Message extends HistoryEntry {
  /** Empty, with offset 0, for a plain PUBLISH. */
  readonly epoch: string;
}

/** The entries of a channel's history from one offset on, and the channel's position, read in one step. */
export interface HistoryPage {
  /** The channel's position at the time of the read; undefined if it has no `meta`. */
  readonly position: Position | undefined;
  /** In ascending order of offsets; at most as many as the read asked for. */
  readonly publications: readonly HistoryEntry[];
  /** The number of entries that were read. Set if some of them are no publications and were left out. */
  readonly entries?: number;
  /** The offset of the last entry, set in the same case; NaN if no other entry can follow it. */
  readonly last?: number;
  /** Whether nothing follows the page. If undefined, nothing follows a page of fewer publications than the read asked for. */
  readonly isWhole?: boolean;
}
