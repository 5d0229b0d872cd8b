/** What a client can rightly complain about. */
export type ComplaintKind =
  /** Came before, by its offset or by the number in its payload. */
  | 'duplicate'
  /** An offset that was passed over before, or that lies before where the client began. */
  | 'reorder'
  /** Offsets that were neither delivered nor told as lost, noticed by what came after. */
  | 'silent-hole'
  /** The last publications of a channel have not come: a hole that nothing came after. */
  | 'missing'
  /** It stands further than its channel in Redis does: what it was given has been lost since, untold. */
  | 'beyond'
  /** Not what the publisher was told to be at this position. */
  | 'wrong-payload'
  /** Nobody published this. */
  | 'unknown-publication'
  /** A `gap` that does not begin after the last position, or miscounts, or tells what is not lost. */
  | 'bad-gap'
  /** A `resync` without a new epoch. */
  | 'bad-resync'
  /** A `subscribed` that contradicts itself or the request. */
  | 'bad-answer'
  /** `seq` goes back, or passes over more than what is told as lost. */
  | 'bad-seq'
  /** A frame of a channel that the client does not hold. */
  | 'not-subscribed'
  /** A `gap`, told truly, where nothing was expected to be lost. */
  | 'told-lost'
  /** A `recovered: false` within one epoch, told truly, where nothing was expected to be lost. */
  | 'not-recovered'
  /** More or fewer new epochs of a channel than were expected, told truly. */
  | 'epochs-told';

export interface Complaint {
  readonly kind: ComplaintKind;
  readonly client: string;
  readonly channel: string;
  readonly detail: string;
}

/**
 * What a client may be told that it does not get. The truth is a promise that holds in any case; how much
 * of it may be bad news depends on what the history can hold.
 */
export interface Expectation {
  /** `nothing`: the history held all that was missed, so a `gap` or `recovered: false` is a fault. */
  readonly lost: 'nothing' | 'told';
  /** New epochs of each channel, or of this one, the first not counted; `any` where chance decides. */
  readonly epochs: number | 'any' | ((channel: string) => number);
}

/** Whatever is told truly is fine. */
export const ANY_NEWS: Expectation = { lost: 'told', epochs: 'any' };
