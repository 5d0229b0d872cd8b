import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { fault, refusal } from '../publishing/faults.ts';

/** What an HTTP header can carry without quoting: printable ASCII without space, `"` and `\`. */
const KEY = /^[!#-[\]-~]{1,128}$/;

/** The source of trades that do not say where they come from. */
export const DEFAULT_SOURCE = 'http';

/** How a key begins that is a hash, and no other. */
const HASHED = 'sha256:';

const KEY_HEADER = 'idempotency-key';
const SOURCE_HEADER = 'idempotency-source';

/** Whether a caller may use `value` as a key: 1 to 128 printable ASCII characters, see the code. */
export function isIdempotencyKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}

/**
 * The key of a request that publishes one payload, from its `Idempotency-Key` header: bare, or
 * in quotes as the RFC draft has it. Undefined without one.
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
 * Refuses a key on a request whose entries carry keys of their own: to ignore it would leave the
 * caller with a protection that is not there.
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
 * Where a request's trades come from, from its `Idempotency-Source` header, or `http`.
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
 * A key made of parts, which no other parts make: joined by colons, where no part has one itself. Anything
 * else, and what is too long or what no header could carry, becomes a SHA-256 of the parts.
 */
export function keyOfParts(...parts: readonly string[]): string {
  const key = parts.join(':');
  const isPlain = !parts.some((part) => part.includes(':')) && !key.startsWith(HASHED);
  if (isPlain && KEY.test(key)) return key;
  // As JSON, because that tells where one part ends and the next begins.
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
  return `${HASHED}${digest}`;
}
