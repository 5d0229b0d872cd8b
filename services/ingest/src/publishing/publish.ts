import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import type { HttpErrorDetails } from '@tradewind/runtime';
import { fault } from './faults.ts';
import type { Publication } from './item.ts';

/** Where a publication stands in its channel. */
export interface Published {
  readonly epoch: string;
  readonly offset: number;
  /** The idempotency key was known: this is where it was published then; nothing was published now. */
  readonly duplicate: boolean;
}

/** On what terms something is published. */
export interface PublishTerms {
  /** How long its idempotency key is remembered, in ms; 0: keys are not used. */
  readonly idempotencyWindowMs: number;
  /** The latest time on Redis' clock, ms since 1970, at which it may be executed; undefined: any. */
  readonly notAfterMs: number | undefined;
}

/** Takes publications to Redis, or to an ingest service. */
export interface Publisher {
  /** Whether Redis answered lately. A publication may still fail when it is true. */
  readonly available: boolean;
  /**
   * Resolves once Redis accepted it. What is called for first is sent first. Rejects with
   * RedisUnavailableError or RedisRefusedError.
   */
  publish(publication: Publication, terms: PublishTerms): Promise<Published>;
}

/** Why something was not acknowledged. */
export interface ItemFailure {
  readonly ok: false;
  readonly error: HttpErrorDetails;
  /** Redis may have accepted it all the same, or may yet do so. */
  readonly outcomeUnknown: boolean;
  /** What Redis or the link said: for the log, not for the caller. */
  readonly cause: string | undefined;
}

/** What became of one item. */
export type ItemResult =
  | ({ readonly ok: true; readonly channel: string; readonly bytes: number } & Published)
  | ItemFailure;

/** What a refusal by Redis means, by the reply's first word; any other is `unavailable`. */
const REFUSALS = {
  NOPERM: 'channel_not_allowed',
  OOM: 'storage_full',
  TWLATE: 'too_late',
  // The keys of the channel hold something else, or our own call is wrong: nothing to wait for.
  TWARG: 'internal',
  TWTYPE: 'internal',
  TWMETA: 'internal',
} as const;

/** Publishes one publication and says what became of it. Never rejects for what Redis does. */
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

/** What a rejection of {@link Publisher} means for the caller; undefined when it is none of Redis'. */
export function failureOf(error: unknown): ItemFailure | undefined {
  if (error instanceof RedisUnavailableError) {
    return unavailable(error.message, error.outcome === 'unknown');
  }
  if (error instanceof RedisRefusedError) {
    const code = isKnownRefusal(error.code) ? REFUSALS[error.code] : 'unavailable';
    return { ok: false, error: fault(code), outcomeUnknown: false, cause: error.message };
  }
  return undefined;
}

/** Redis was not there for it. `message` is for the caller; by default what the code always means. */
export function unavailable(cause: string, outcomeUnknown: boolean, message?: string): ItemFailure {
  return { ok: false, error: fault('unavailable', message), outcomeUnknown, cause };
}

function isKnownRefusal(code: string): code is keyof typeof REFUSALS {
  return Object.hasOwn(REFUSALS, code);
}
