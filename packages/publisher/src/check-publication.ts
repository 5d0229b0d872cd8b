import { isUtf8 } from 'node:buffer';
import type { RedisArgument } from './redis-connection.ts';

/** A channel's name, as `docs/publishing.md` has it; those that begin with `tw:` are Tradewind's own. */
const CHANNEL = /^(?!tw:)[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$/;

/** The longest idempotency key, in bytes of UTF-8; Redis keeps each for its window. */
const MAX_KEY_BYTES = 128;

/** The most bytes that JSON makes of one byte of text: a control character becomes `\u0001`. */
const MAX_ESCAPED_BYTES = 6;

/** Why a publication must not be sent. */
export type Refusal = { readonly code: string; readonly message: string };

/** Returns the code and reason if the channel or the idempotency key cannot be right; of any type, for callers without types. */
export function refusalOf(channel: unknown, key: unknown): Refusal | undefined {
  if (typeof channel !== 'string' || !CHANNEL.test(channel)) {
    const message =
      'the channel must be [A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127} and not begin with tw:';
    return { code: 'BAD_CHANNEL', message };
  }
  // A program in JavaScript easily has a number as the id of a trade.
  const isKey = typeof key === 'string' && key !== '' && key.isWellFormed();
  if (isKey && Buffer.byteLength(key) <= MAX_KEY_BYTES) return undefined;
  return {
    code: 'BAD_KEY',
    message: `the key must be text of 1 to ${MAX_KEY_BYTES} bytes in UTF-8`,
  };
}

/**
 * Returns what is sent to Redis: text and bytes as they are, anything else as JSON. Measures as edges do: a text that is no JSON
 * counts as the JSON string that clients get, escaped and with its quotes.
 */
export function encodePayload(
  data: unknown,
  maxBytes: number,
): { readonly payload: RedisArgument } | Refusal {
  if (data instanceof Uint8Array) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    if (!isUtf8(bytes)) return { code: 'BAD_PAYLOAD', message: 'the payload is not UTF-8' };
    return isTooLarge(bytes.length, () => bytes.toString(), maxBytes) ?? { payload: bytes };
  }
  let text: string | undefined;
  try {
    text = typeof data === 'string' ? data : JSON.stringify(data);
  } catch (error) {
    return { code: 'BAD_PAYLOAD', message: `the payload is no JSON: ${(error as Error).message}` };
  }
  if (text === undefined) return { code: 'BAD_PAYLOAD', message: `${typeof data} is no JSON` };
  // Half a surrogate pair would silently become another character.
  if (!text.isWellFormed()) return { code: 'BAD_PAYLOAD', message: 'the payload is not UTF-8' };
  const whole = text;
  return isTooLarge(Buffer.byteLength(text), () => whole, maxBytes) ?? { payload: text };
}

function isTooLarge(bytes: number, text: () => string, maxBytes: number): Refusal | undefined {
  const fits =
    bytes <= maxBytes &&
    // Only what could be too large when it is escaped is read.
    (bytes * MAX_ESCAPED_BYTES + 2 <= maxBytes || sizeOnTheWire(text()) <= maxBytes);
  if (fits) return undefined;
  return { code: 'TOO_LARGE', message: `the payload is sent with more than ${maxBytes} bytes` };
}

function sizeOnTheWire(text: string): number {
  try {
    JSON.parse(text);
    return Buffer.byteLength(text);
  } catch {
    return Buffer.byteLength(JSON.stringify(text));
  }
}
