import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import type { HttpErrorDetails } from '@tradewind/runtime';
import { fault } from './faults.ts';
import type { Publication } from './item.ts';

/** The position of a publication in its channel. */
export interface Published {
  readonly epoch: string;
  readonly offset: number;
  /** The idempotency key was known: the position is that of the first attempt, and nothing was published now. */
  readonly duplicate: boolean;
}

/** The terms of one publication. */
export interface PublishTerms {
  /** How long its idempotency key is remembered, in ms; 0: keys are not used. */
  readonly idempotencyWindowMs: number;
  /** The latest time on Redis' clock, ms since 1970, at which it may be executed; undefined: any. */
  readonly notAfterMs: number | undefined;
}

/** Channels whose publications are held up together. */
export interface Lanes {
  /** The lane of a channel, always the same one: the slot, in a cluster. */
  laneOf(channel: string): number;
  /** Whether the server that has the lane now answered lately. */
  isReachable(lane: number): boolean;
  /** The server that has the lane now, by a name; undefined if there is only one. */
  shardOf(lane: number): string | undefined;
}

/** Publishes to Redis, or through an ingest service. */
export interface Publisher {
  /** Whether Redis answered lately. A publication may fail although it is true. */
  readonly available: boolean;
  /** Undefined if one server takes all publications. */
  readonly lanes?: Lanes | undefined;
  /**
   * Resolves once Redis accepted the publication. Publications are sent in the order of the calls. Rejects with
   * RedisUnavailableError or RedisRefusedError.
   */
  publish(publication: Publication, terms: PublishTerms): Promise<Published>;
}

/** Why a publication was not acknowledged. */
export interface ItemFailure {
  readonly ok: false;
  readonly error: HttpErrorDetails;
  /** Redis may have accepted it, or may still accept it. */
  readonly outcomeUnknown: boolean;
  /** The reply of Redis or of the link. For the log, not for the caller. */
  readonly cause: string | undefined;
}

/** The result of one item. */
export type ItemResult =
  | ({ readonly ok: true; readonly channel: string; readonly bytes: number } & Published)
  | ItemFailure;

/** The error code of a refusal, by the code of Redis' reply; any other is `unavailable`. */
const REFUSALS = {
  NOPERM: 'channel_not_allowed',
  OOM: 'storage_full',
  TWLATE: 'too_late',
  // The channel's keys hold something else, or our own call is wrong. Waiting does not help.
  TWARG: 'internal',
  TWTYPE: 'internal',
  TWMETA: 'internal',
} as const;

/** Ends a message of `unavailable` where the caller may simply repeat. */
const NOT_PUBLISHED = 'This was not published; try again.';
const NOT_SENT = `Redis does not answer right now. ${NOT_PUBLISHED}`;
const NOT_TAKEN = `Redis takes no publications right now. ${NOT_PUBLISHED}`;

/** The message for an outcome that is unknown: Redis may have published it, or may still do so. */
export const DOUBT = 'Redis does not answer right now. Nobody knows whether it published this.';

/** Publishes one publication and resolves with its result. A fault of Redis never rejects the promise. */
export async function publishOne(
  publisher: Publisher,
  publication: Publication,
  terms: PublishTerms,
): Promise<ItemResult> {
  const { channel, bytes } = publication;
  try {
    return { ok: true, channel, bytes, ...(await publisher.publish(publication, terms)) };
  } catch (error) {
    const failure = failureOf(error);
    if (failure === undefined) throw error;
    return failure;
  }
}

/** Converts a rejection of {@link Publisher} into the caller's failure; undefined if it does not come from Redis. */
export function failureOf(error: unknown): ItemFailure | undefined {
  if (error instanceof RedisUnavailableError) {
    return unavailable(error.message, error.outcome === 'unknown');
  }
  if (error instanceof RedisRefusedError) {
    const code = isKnownRefusal(error.code) ? REFUSALS[error.code] : 'unavailable';
    const message = code === 'unavailable' ? NOT_TAKEN : undefined;
    return { ok: false, error: fault(code, message), outcomeUnknown: false, cause: error.message };
  }
  return undefined;
}

/** Returns the failure `unavailable`. @param message for the caller; by default that Redis does not answer. */
export function unavailable(
  cause: string,
  outcomeUnknown: boolean,
  message = outcomeUnknown ? DOUBT : NOT_SENT,
): ItemFailure {
  return { ok: false, error: fault('unavailable', message), outcomeUnknown, cause };
}

function isKnownRefusal(code: string): code is keyof typeof REFUSALS {
  return Object.hasOwn(REFUSALS, code);
}
