import { isUtf8 } from 'node:buffer';
import { MAX_REVOCATION_SECONDS, MAX_REVOKED_NAME, type Revocation } from '@tradewind/bus';
import { refusal } from '../publishing/faults.ts';

/** How long a revocation holds if the request does not say, in s: longer than tokens should live. */
export const DEFAULT_REVOCATION_SECONDS = 86_400;

/**
 * How far `issuedBefore` may lie ahead of our clock, in s: more than clocks differ. A time in milliseconds would revoke every
 * token to come, and nothing takes that back.
 */
const MAX_AHEAD_SECONDS = 60;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads what `POST /v1/subjects/<sub>/disconnect` asks for: `issuedBefore` (s since 1970; by default everything that was issued
 * up to now), or `blocked: true` for whatever is issued, and `seconds`, how long it holds. The body may be empty.
 *
 * @param subject as it is in tokens.
 * @param now ms since the Unix epoch.
 * @throws HttpError bad_json, bad_message
 */
export function readDisconnect(subject: string, body: Buffer, now: number): Revocation {
  if (subject === '' || subject.length > MAX_REVOKED_NAME) {
    throw refusal('bad_message', `A subject must have 1 to ${MAX_REVOKED_NAME} characters.`);
  }
  const fields = readFields(body, ['issuedBefore', 'blocked', 'seconds']);
  const { issuedBefore, blocked } = fields;
  if (blocked !== undefined && (blocked !== true || issuedBefore !== undefined)) {
    throw refusal(
      'bad_message',
      '`blocked` must be true, and must not stand beside `issuedBefore`.',
    );
  }
  const until = readUntil(fields, now);
  if (blocked === true) return { subject, until };
  // Tokens of this very second are included: `iat` has no fraction as a rule.
  const endOfSecond = Math.floor(now / 1_000) + 1;
  return { subject, issuedBefore: readTime(issuedBefore, now) ?? endOfSecond, until };
}

/**
 * Reads what `POST /v1/tokens/revoke` asks for: one token by its `jti`, or all that were `issuedBefore` a time, and `seconds`.
 *
 * @param now ms since the Unix epoch.
 * @throws HttpError bad_json, bad_message
 */
export function readTokenRevocation(body: Buffer, now: number): Revocation {
  const fields = readFields(body, ['jti', 'issuedBefore', 'seconds']);
  const { jti: tokenId } = fields;
  const issuedBefore = readTime(fields.issuedBefore, now);
  if ((tokenId === undefined) === (issuedBefore === undefined)) {
    throw refusal('bad_message', 'The request must have either `jti` or `issuedBefore`.');
  }
  const until = readUntil(fields, now);
  if (issuedBefore !== undefined) return { issuedBefore, until };
  if (typeof tokenId !== 'string' || tokenId === '' || tokenId.length > MAX_REVOKED_NAME) {
    throw refusal('bad_message', `\`jti\` must have 1 to ${MAX_REVOKED_NAME} characters.`);
  }
  return { tokenId, until };
}

function readFields(body: Buffer, known: readonly string[]): Fields {
  if (body.length === 0) return {};
  if (!isUtf8(body)) throw refusal('bad_json');
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw refusal('bad_json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refusal('bad_message', 'The body must be one JSON object, or empty.');
  }
  // A misspelt field must not revoke something else than was meant.
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const message = `${JSON.stringify(unknown.slice(0, 64))} is no field of this request. It may have ${known.join(', ')}.`;
    throw refusal('bad_message', message);
  }
  return value as Fields;
}

function readTime(value: unknown, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw refusal('bad_message', '`issuedBefore` must be an integer: seconds since 1970.');
  }
  if (value <= now / 1_000 + MAX_AHEAD_SECONDS) return value;
  throw refusal('bad_message', '`issuedBefore` lies ahead; it is in seconds, not milliseconds.');
}

function readUntil({ seconds = DEFAULT_REVOCATION_SECONDS }: Fields, now: number): number {
  const isAllowed =
    typeof seconds === 'number' &&
    Number.isSafeInteger(seconds) &&
    seconds >= 1 &&
    seconds <= MAX_REVOCATION_SECONDS;
  if (isAllowed) return now + seconds * 1_000;
  throw refusal(
    'bad_message',
    `\`seconds\` must be an integer from 1 to ${MAX_REVOCATION_SECONDS}.`,
  );
}
