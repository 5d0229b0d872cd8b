/**
 * What the owner of a sequence must do next. Each call returns it, and it replaces what earlier calls returned.
 * - `nothing`: wait for a message.
 * - `read-position`: read the channel's `meta`, over the connection that carries the subscription. If `isStale`, the last page of
 *   history was older than the position; the owner must let some time pass before it reads history again.
 * - `read-history`: read a page of the channel's history from this offset on.
 * - `start-epoch`: start a new epoch, because Redis lost what it had told. It replaces the epoch `replaces`, which is undefined if
 *   `meta` is missing.
 * - `compare-soon`: call `ChannelSequence.compare` within a moment, but not at once: any publisher of the channel can
 *   cause it, and it costs a read.
 * - `give-up`: release the channel, which cannot keep its promise.
 */
export type SequenceAction =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'read-position'; readonly isStale: boolean }
  | { readonly kind: 'read-history'; readonly from: number }
  | { readonly kind: 'start-epoch'; readonly replaces: string | undefined }
  | { readonly kind: 'compare-soon' }
  | { readonly kind: 'give-up' };

export const NOTHING: SequenceAction = { kind: 'nothing' };
export const READ_POSITION: SequenceAction = { kind: 'read-position', isStale: false };
export const READ_STALE_POSITION: SequenceAction = { kind: 'read-position', isStale: true };
export const COMPARE_SOON: SequenceAction = { kind: 'compare-soon' };
export const GIVE_UP: SequenceAction = { kind: 'give-up' };

/** What the owner of a new sequence must do, once the channel is subscribed to. */
export const FIRST_ACTION = READ_POSITION;
