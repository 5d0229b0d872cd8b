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

/** What Redis holds of a channel from one offset on, read in one step. */
export interface HistoryPage {
  /** Where the channel stood; undefined while it has no `meta`. */
  readonly position: Position | undefined;
  /** In ascending order of offsets; at most as many as the read asked for. */
  readonly publications: readonly HistoryEntry[];
  /** The number of entries that were read. Given when some of them are no publications and were left out. */
  readonly entries?: number;
  /** The offset of the last entry, given in the same case; NaN: no other entry can follow it. */
  readonly last?: number;
  /** Whether nothing follows the page; undefined: nothing does if it holds fewer publications than the read asked for. */
  readonly isWhole?: boolean;
}
