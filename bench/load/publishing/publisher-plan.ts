/** The terms of publications that get an offset. */
export interface SequencedTerms {
  /** Publications that the history of a channel keeps; 0: none. */
  readonly historySize: number;
  /** How long it is kept after the last publication, in ms; 0: for ever. */
  readonly historyTtlMs: number;
}

/** What to publish. */
export interface PublisherPlan {
  /** `redis:` or `rediss:`, with user and password where needed. */
  readonly redisUrl: string;
  /** Channels' names, published to in turn. */
  readonly channels: readonly string[];
  /** The CPU core to pin the publisher to, or undefined. */
  readonly core: number | undefined;
  /** If set, publishes by the publish script on these terms; otherwise by plain PUBLISH. */
  readonly sequenced?: SequencedTerms | undefined;
}

/** Rate and size of publications, from one `start` to the next `stop`. */
export interface PublishingRate {
  /** Publications a second, over all channels. */
  readonly ratePerSecond: number;
  /** The size of each payload; at least `MIN_PAYLOAD_BYTES`. */
  readonly payloadBytes: number;
}

/** The progress of the publisher since its `start`. */
export interface PublisherSample {
  /** Publications handed to the connection, and those that Redis has answered. */
  readonly sent: number;
  readonly confirmed: number;
  /**
   * The highest delay behind its schedule since the sample before, in ms. Times in payloads are the scheduled ones, so
   * it is part of every latency; the timer's resolution accounts for about 1.
   */
  readonly maxBehindMs: number;
  /** CPU time of this process since it was started, in s. */
  readonly cpuSeconds: number;
}

export interface PublisherTotals {
  /** Publications that Redis accepted, by channel number. */
  readonly published: readonly number[];
  readonly total: number;
  /** Publications that Redis refused, and its first error. */
  readonly refused: number;
  readonly refusal: string | undefined;
  /** From the first to the last publication, in s. */
  readonly seconds: number;
  /** The highest delay since `start`, in ms. */
  readonly maxBehindMs: number;
}

/** The calls that the publisher process answers. */
export type PublisherCalls = {
  connect: { argument: PublisherPlan; result: undefined };
  start: { argument: PublishingRate; result: undefined };
  sample: { argument: undefined; result: PublisherSample };
  /** Stops publishing; answers after Redis has answered everything. */
  stop: { argument: undefined; result: PublisherTotals };
};
