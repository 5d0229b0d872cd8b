import type { GapReason, Position } from '@tradewind/protocol';
import type { Arrival } from './message.ts';

/** Why a message with a header is not passed on. */
export type HeaderFault =
  /** Its offset was passed on before: a repair was faster, or it comes twice. */
  | 'old'
  /** Its epoch is not the channel's. */
  | 'foreign_epoch'
  /** The channel has no epoch: `meta` is missing here, as when the node reads another database than is written to. */
  | 'no_meta'
  /** Nothing confirms it: it is beyond the channel's end, or not the only one that claims its offset. */
  | 'unconfirmed';

/** Whom a channel's sequence tells. The order of the calls is the order in which subscribers are to hear of it. */
export interface SequenceOutput {
  /** The channel's position is known for the first time; what is published from here on is newer. */
  ready(): void;
  publish(arrival: Arrival): void;
  /** Offsets of the present epoch that cannot be had, both inclusive. */
  gap(from: number, to: number, reason: GapReason): void;
  /** Publications without offsets were lost: so many, or nobody knows how many. */
  lostPlain(count?: number): void;
  /** A new epoch begins at this position. */
  resync(position: Position): void;
  rejected(fault: HeaderFault): void;
  /** So many publications, told before by `publish`, had been missed and came from history. */
  repaired(publications: number): void;
}
