import { logKey, metaKey } from './channel-keys.ts';
import { defineScript, SCRIPT_FILE, type ScriptArgument, UnexpectedReplyError } from './script.ts';

/** Entries of history that one channel can be given: MAX_HISTORY of the script. Bounds what a single trim can cost Redis. */
export const MAX_HISTORY_SIZE = 100_000;

/** An idempotency key, in bytes, as in the script. Each is stored for its whole window. */
export const MAX_IDEMPOTENCY_KEY_BYTES = 128;

/** What is published with an offset. */
export interface SequencedPublication {
  readonly channel: string;
  /** May be reused as soon as the call returns. */
  readonly payload: Uint8Array | string;
  /** How many publications the channel's history keeps, this one included; 0: none, up to 100,000. */
  readonly historySize: number;
  /** How long after its last publication the history is kept, in ms; 0: for ever. */
  readonly historyTtlMs: number;
  /** Up to 128 bytes. The same key again within its window answers as before and publishes nothing. */
  readonly idempotencyKey?: string | undefined;
  /** How long the key is remembered, in ms, at least 1. Without a key of no effect. */
  readonly idempotencyWindowMs: number;
  /** The latest time on Redis' clock, in ms since 1970, at which it may be executed; by default any. */
  readonly notAfterMs?: number | undefined;
}

/** What Redis answered: where the publication stands in its channel. */
export interface PublishedPosition {
  readonly epoch: string;
  readonly offset: number;
  /** The idempotency key was known: this is what was answered then, and nothing was published now. */
  readonly duplicate: boolean;
}

/** Publishes with an offset and a history; `docs/publishing.md` has its keys, arguments and answer. */
export const PUBLISH_SCRIPT = defineScript('tradewind_publish_1', SCRIPT_FILE);

/** The KEYS of a publish, in their order. */
export function publishKeys(channel: string): readonly [meta: string, log: string] {
  return [metaKey(channel), logKey(channel)];
}

/**
 * The ARGV of a publish, in their order. Shares the payload's memory.
 *
 * @param isSharded the script publishes by SPUBLISH, to subscribers of a Cluster's shard.
 */
export function publishArguments(
  publication: SequencedPublication,
  isSharded = false,
): readonly ScriptArgument[] {
  const { channel, payload, historySize, historyTtlMs } = publication;
  return [
    channel,
    typeof payload === 'string'
      ? payload
      : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    String(historySize),
    String(historyTtlMs),
    publication.idempotencyKey ?? '',
    String(publication.idempotencyWindowMs),
    String(publication.notAfterMs ?? 0),
    ...(isSharded ? ['sharded'] : []),
  ];
}

/** @throws {UnexpectedReplyError} when it is not the answer of this script. */
export function readPublishReply(reply: unknown): PublishedPosition {
  if (!Array.isArray(reply)) throw new UnexpectedReplyError(PUBLISH_SCRIPT.name);
  const [epoch, offset, duplicate] = reply as unknown[];
  if (typeof epoch !== 'string' || typeof offset !== 'number')
    throw new UnexpectedReplyError(PUBLISH_SCRIPT.name);
  return { epoch, offset, duplicate: duplicate === 1 };
}
