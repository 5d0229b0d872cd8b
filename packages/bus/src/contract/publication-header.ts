/** The header of a message, as Redis delivers it. */
export type PublicationHeader =
  /** No header: a plain PUBLISH, and the whole message is the payload. */
  | { readonly kind: 'plain' }
  | {
      readonly kind: 'sequenced';
      readonly epoch: string;
      /** From 1 to 2^53−1. */
      readonly offset: number;
      /** Redis' clock when it was published, in ms since 1970. */
      readonly publishedAt: number;
      /** The index of the payload's first byte. */
      readonly payloadAt: number;
    }
  /** A header of a version that this code does not know. It must not be guessed. */
  | { readonly kind: 'unknown_header' }
  /** A header of version 1 that is malformed. */
  | { readonly kind: 'bad_header' };

const PLAIN: PublicationHeader = { kind: 'plain' };
const UNKNOWN: PublicationHeader = { kind: 'unknown_header' };
const BAD: PublicationHeader = { kind: 'bad_header' };

const AT = 0x40;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const ZERO = 0x30;
const ONE = 0x31;
const NINE = 0x39;

const MAX_EPOCH_BYTES = 16;

/** 2^53−1 has 16 digits, and a double still compares every number of 16 digits with it correctly. */
const MAX_DIGITS = 16;

/**
 * Parses `@1:<epoch>:<offset>:<ms>;` at the front of a message. Whoever may PUBLISH on the channel can write any header.
 *
 * @param knownEpoch The expected epoch. If the header has this epoch, the result holds this very string, so that a
 *   channel's publications share one.
 */
export function readHeader(payload: Buffer, knownEpoch?: string): PublicationHeader {
  if (payload[0] !== AT) return PLAIN;
  let at = 1;
  while (isDigit(payload[at])) at += 1;
  if (at === 1 || payload[at] !== COLON) return PLAIN;
  if (at !== 2 || payload[1] !== ONE) return UNKNOWN;

  const epochAt = at + 1;
  at = epochAt;
  while (isEpochByte(payload[at]) && at - epochAt <= MAX_EPOCH_BYTES) at += 1;
  const epochEnd = at;
  if (epochEnd === epochAt || epochEnd - epochAt > MAX_EPOCH_BYTES || payload[at] !== COLON)
    return BAD;

  const offsetAt = at + 1;
  const offsetEnd = endOfDigits(payload, offsetAt);
  const offset = integer(payload, offsetAt, offsetEnd);
  if (offset < 1 || payload[offsetEnd] !== COLON) return BAD;

  const timeAt = offsetEnd + 1;
  const timeEnd = endOfDigits(payload, timeAt);
  const publishedAt = integer(payload, timeAt, timeEnd);
  if (publishedAt < 0 || payload[timeEnd] !== SEMICOLON) return BAD;

  const epoch =
    knownEpoch !== undefined && spells(payload, epochAt, epochEnd, knownEpoch)
      ? knownEpoch
      : payload.toString('latin1', epochAt, epochEnd);
  return { kind: 'sequenced', epoch, offset, publishedAt, payloadAt: timeEnd + 1 };
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function isEpochByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function endOfDigits(bytes: Buffer, start: number): number {
  let at = start;
  while (at - start <= MAX_DIGITS && isDigit(bytes[at])) at += 1;
  return at;
}

/** Parses an integer from 0 to 2^53−1 without leading zeros; −1 if the bytes are none. */
function integer(bytes: Buffer, start: number, end: number): number {
  if (end === start || end - start > MAX_DIGITS) return -1;
  if (bytes[start] === ZERO && end - start > 1) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) value = value * 10 + ((bytes[at] ?? 0) - ZERO);
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}

function spells(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let index = 0; index < text.length; index += 1)
    if (bytes[start + index] !== text.charCodeAt(index)) return false;
  return true;
}
