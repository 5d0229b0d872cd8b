/** The valid complaints of a client. */
export type ComplaintKind =
  /** It was delivered before, by its offset or by the number in its payload. */
  | 'duplicate'
  /** An offset that was skipped earlier, or that lies before the client's start. */
  | 'reorder'
  /** Offsets that were neither delivered nor reported as lost, as later ones show. */
  | 'silent-hole'
  /** The last publications of a channel were not delivered: a hole without later publications. */
  | 'missing'
  /** The client's position is after the end of its channel in Redis: deliveries were lost later without a report. */
  | 'beyond'
  /** Not the payload that the publisher was told to have this position. */
  | 'wrong-payload'
  /** Nobody published this. */
  | 'unknown-publication'
  /** A `gap` that does not begin after the last position, has a wrong count, or reports delivered publications. */
  | 'bad-gap'
  /** A `resync` without a new epoch, or with a reason that is not its own. */
  | 'bad-resync'
  /** A `subscribed` that contradicts itself or its request. */
  | 'bad-answer'
  /** `seq` decreases, or skips more than what is reported as lost. */
  | 'bad-seq'
  /** A frame of a channel that the client does not hold. */
  | 'not-subscribed'
  /** A correct `gap` in a scenario that expects no losses. */
  | 'told-lost'
  /** A correct `recovered: false` within one epoch in a scenario that expects no losses. */
  | 'not-recovered'
  /** More or fewer new epochs of a channel than expected, correctly reported. */
  | 'epochs-told';

export interface Complaint {
  readonly kind: ComplaintKind;
  readonly client: string;
  readonly channel: string;
  readonly detail: string;
}

/**
 * The losses that a client may be told of. Reports must be correct in any case; how many losses are allowed depends on
 * what the history can hold.
 */
export interface Expectation {
  /** `nothing`: the history held everything that was missed, so a `gap` or `recovered: false` is a fault. */
  readonly lost: 'nothing' | 'told';
  /** New epochs of each channel, or of this one, without the first; `any` if chance decides. */
  readonly epochs: number | 'any' | ((channel: string) => number);
}

/** Every correct report is accepted. */
export const ANY_NEWS: Expectation = { lost: 'told', epochs: 'any' };
