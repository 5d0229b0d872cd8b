import type { Position } from '@tradewind/protocol';

/** A publication with an offset, as Redis' history holds it. */
export interface HistoryEntry {
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly publishedAt: number;
  /** Without the header. */
  readonly payload: Buffer;
}

/** A message of a channel, as Redis delivered it or as its history holds it. */
export interface Arrival extends HistoryEntry {
  /** Empty, with offset 0, for a plain PUBLISH. */
  readonly epoch: string;
}

/** What Redis holds of a channel, from one offset on, read in one step. */
export interface HistoryPage {
  readonly position: Position | undefined;
  /** In ascending order of offsets, as many as were asked for at most. */
  readonly publications: readonly HistoryEntry[];
  /** Entries that were read, if some of them are no publications and are left out. */
  readonly entries?: number;
  /** The offset of the last of them, in the same case; NaN: no other can follow it. */
  readonly last?: number;
  /** Whether it holds all that there was from its beginning on; undefined: if it holds fewer than were asked for. */
  readonly isWhole?: boolean;
}
