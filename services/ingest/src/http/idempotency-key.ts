import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { fault, refusal } from '../publishing/faults.ts';

/** The keys that an HTTP header can carry without quotes: printable ASCII without space, `"` and `\`. */
const KEY = /^[!#-[\]-~]{1,128}$/;

/** The source of trades that name none. */
export const DEFAULT_SOURCE = 'http';

/** The beginning of every key that is a hash, and of no other key. */
const HASHED = 'sha256:';

const KEY_HEADER = 'idempotency-key';
const SOURCE_HEADER = 'idempotency-source';

/** Whether a caller may use `value` as a key: 1 to 128 printable ASCII characters, see the code. */
export function isIdempotencyKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}

/**
 * Returns the key of a request that publishes one payload, from its `Idempotency-Key` header: bare, or in quotes as in the
 * RFC draft. Undefined without the header.
 *
 * @throws HttpError bad_idempotency_key
 */
export function keyOfHeaders(headers: IncomingHttpHeaders): string | undefined {
  const value = headers[KEY_HEADER];
  if (value === undefined) return undefined;
  const key = String(value).replace(/^"(.*)"$/, '$1');
  if (!isIdempotencyKey(key)) throw refusal('bad_idempotency_key');
  return key;
}

/**
 * Refuses a key on a request whose entries carry keys of their own. A key that is ignored would protect the caller from
 * nothing.
 *
 * @throws HttpError bad_idempotency_key
 */
export function refuseKeyHeader(headers: IncomingHttpHeaders): void {
  if (headers[KEY_HEADER] === undefined) return;
  const message =
    'Idempotency-Key is for /v1/channels. On /v1/publish put `idempotencyKey` into each entry; a trade is known by its `id`.';
  throw refusal('bad_idempotency_key', message);
}

/**
 * Returns the source of a request's trades, from its `Idempotency-Source` header; `http` without one.
 *
 * @throws HttpError bad_idempotency_key
 */
export function sourceOfHeaders(headers: IncomingHttpHeaders): string {
  const value = headers[SOURCE_HEADER];
  if (value === undefined) return DEFAULT_SOURCE;
  if (isIdempotencyKey(value)) return value;
  throw refusal(
    'bad_idempotency_key',
    `Idempotency-Source: ${fault('bad_idempotency_key').message}`,
  );
}

/**
 * Makes a key of parts, such that different parts never make the same key. The parts are joined by colons if none of them
 * holds a colon. Otherwise, or if the key is too long or no header could carry it, it is the SHA-256 of the parts.
 */
export function keyOfParts(...parts: readonly string[]): string {
  const key = parts.join(':');
  const isPlain = !parts.some((part) => part.includes(':')) && !key.startsWith(HASHED);
  if (isPlain && KEY.test(key)) return key;
  // As JSON, which marks where one part ends and the next begins.
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
  return `${HASHED}${digest}`;
}
