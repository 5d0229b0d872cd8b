/**
 * What the owner of a sequence must do next. Each call returns it, and it replaces what earlier calls returned.
 * - `nothing`: until a message comes.
 * - `read-position`: read the channel's `meta`, over the connection that carries the subscription. If `isStale`, what was
 *   brought last shows less than is known; the owner must let some time pass before it reads history again.
 * - `read-history`: read a page of the log from this offset on.
 * - `start-epoch`: begin a new epoch, since Redis lost what it had told. It replaces this one; undefined: `meta` is missing.
 * - `compare-soon`: call `ChannelSequence.compare` within a moment, but not at once: any publisher of the channel can
 *   cause it, and it costs a read.
 * - `give-up`: let go of the channel, which cannot keep what it promised.
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
