/** What becomes of publications that are given an offset. */
export interface SequencedTerms {
  /** Publications that the history of a channel keeps; 0: none. */
  readonly historySize: number;
  /** How long it is kept after the last one, in ms; 0: for ever. */
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
  /** By the publish script, on these terms; without them by plain PUBLISH. */
  readonly sequenced?: SequencedTerms | undefined;
}

/** How to publish, from one `start` to the next `stop`. */
export interface PublishingRate {
  /** Publications a second, over all channels. */
  readonly ratePerSecond: number;
  /** The size of each payload; at least `MIN_PAYLOAD_BYTES`. */
  readonly payloadBytes: number;
}

/** Where the publisher stands, since its `start`. */
export interface PublisherSample {
  /** Publications handed to the connection, and those that Redis has answered. */
  readonly sent: number;
  readonly confirmed: number;
  /**
   * How far it was behind its schedule at worst since the sample before, in ms. Times in payloads
   * are the scheduled ones, so it is part of every latency; about 1 is the timer's grain.
   */
  readonly maxBehindMs: number;
  /** CPU time of this process since it was started, in s. */
  readonly cpuSeconds: number;
}

export interface PublisherTotals {
  /** Publications that Redis accepted, by channel number. */
  readonly published: readonly number[];
  readonly total: number;
  /** Publications that Redis refused, and what it said about the first. */
  readonly refused: number;
  readonly refusal: string | undefined;
  /** From the first to the last publication, in s. */
  readonly seconds: number;
  /** The worst since `start`, in ms. */
  readonly maxBehindMs: number;
}

/** What the publisher process can be asked. */
export type PublisherCalls = {
  connect: { argument: PublisherPlan; result: undefined };
  start: { argument: PublishingRate; result: undefined };
  sample: { argument: undefined; result: PublisherSample };
  /** Publishes no more; answers when Redis has answered all. */
  stop: { argument: undefined; result: PublisherTotals };
};
