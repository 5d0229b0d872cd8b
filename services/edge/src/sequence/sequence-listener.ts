import type { GapReason, Position } from '@tradewind/protocol';
import type { Message } from './message.ts';

/** Why a message with a header is dropped. */
export type HeaderFault =
  /** Its offset was delivered before: a repair was faster, or the message came twice. */
  | 'old'
  /** Its epoch is not the channel's. */
  | 'foreign_epoch'
  /** The channel has no epoch: `meta` is missing, for example because the node reads another database than publishers write to. */
  | 'no_meta'
  /** Its offset is beyond the channel's end in `meta`, or history holds another publication under its offset. */
  | 'unconfirmed';

/** Hears what a sequence delivers and decides. The order of the calls is the order that subscribers must see. */
export interface SequenceListener {
  /** The channel's position is known for the first time; later publications are newer. */
  onReady(): void;
  onPublication(message: Message): void;
  /** These offsets of the present epoch cannot be delivered. Both ends are inclusive. */
  onGap(from: number, to: number, reason: GapReason): void;
  /** Publications without offsets were lost; `count` is undefined if their number is unknown. */
  onPlainLost(count?: number): void;
  /** A new epoch begins at this position. */
  onResync(position: Position): void;
  /** A message was dropped for its header. */
  onHeaderRejected(fault: HeaderFault): void;
  /** `count` of the publications that were just delivered had been missed, and were read from history. */
  onRepaired(count: number): void;
}
