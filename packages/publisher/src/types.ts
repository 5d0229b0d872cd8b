import type { PublishError } from './publish-error.ts';

/** Text and bytes are published as they are, UTF-8; everything else as JSON. Decimals should be strings: a double loses digits. */
export type PublicationData = string | Uint8Array | number | boolean | null | object;

export interface PublisherOptions {
  /** How many publications a channel's history keeps: 0 to 100,000; default 1,000. */
  readonly history?: number;
  /** How long the history outlives its last publication, in ms; 0: for ever; default an hour. */
  readonly historyTtlMs?: number;
  /** How long Redis remembers a key, in ms; default ten minutes. Must be longer than any repetition. */
  readonly keyWindowMs?: number;
  /** How long a call goes on trying, in ms; default 5,000. Redis publishes nothing of it later than that. */
  readonly deadlineMs?: number;
  /** The edges' `EDGE_MAX_PUBLICATION_BYTES`; default 65,536. */
  readonly maxPublicationBytes?: number;
  /**
   * Calls the Function library from the start, for a user who may send no script. Default false: the script, until Redis says that
   * the user may not. That works too, and leaves one line in the ACL log.
   */
  readonly useFunction?: boolean;
  /**
   * Publishes by SPUBLISH, for edges of a Cluster (`REDIS_MODE=cluster`). Default: true on a `Cluster` of ioredis, else false. False for
   * a Cluster whose edges have `REDIS_PUBSUB=classic`; true for one of node-redis.
   */
  readonly sharded?: boolean;
}

export interface CallOptions {
  /** As {@link PublisherOptions.deadlineMs}, for this call; at most `keyWindowMs`. */
  readonly deadlineMs?: number;
}

export interface PublishOptions extends CallOptions {
  /** The idempotency key, such as a trade's id: 1 to 128 bytes. Default: a random one for this call. */
  readonly key?: string;
}

export interface Publication {
  readonly channel: string;
  readonly data: PublicationData;
  readonly key?: string;
}

/** Where a publication stands in its channel. */
export interface Published {
  readonly epoch: string;
  readonly offset: number;
  /** Redis knew the key: by an earlier call, or by a try of this one whose answer was lost. It was published once. */
  readonly duplicate: boolean;
}

export type PublishResult =
  | ({ readonly ok: true } & Published)
  | { readonly ok: false; readonly error: PublishError };

export interface Publisher {
  /**
   * Publishes one. Calls that run at the same time may change places when one of them is repeated; where order counts, await each, or
   * use {@link publishMany}. Rejects with a {@link PublishError} and nothing else.
   */
  publish(channel: string, data: PublicationData, options?: PublishOptions): Promise<Published>;
  /**
   * Publishes many in pipelines, in their order on each channel. Resolves with one result each, in the order given, and never
   * rejects. The deadline is one for all.
   */
  publishMany(
    publications: readonly Publication[],
    options?: CallOptions,
  ): Promise<PublishResult[]>;
}
