const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const LOWER_E = 0x65;
const LOWER_U = 0x75;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

const LITERALS = ['true', 'false', 'null'].map((word) => new TextEncoder().encode(word));

/** Bytes that stand for themselves inside a string: printable ASCII except the quote and the backslash. */
const ORDINARY = bytesThat(
  (byte) => byte >= SPACE && byte < 0x7f && byte !== QUOTE && byte !== BACKSLASH,
);
/** The bytes that may follow a backslash, except `u`. */
const ESCAPED = bytesThat((byte) => '"\\/bfnrt'.includes(String.fromCharCode(byte)));
const HEXADECIMAL = bytesThat((byte) => /[0-9A-Fa-f]/.test(String.fromCharCode(byte)));
const HEXADECIMAL_DIGITS = 4;

/** One bit for each open object or array says which it is. This many bits fit beside the sign. */
const MAX_DEPTH = 30;

/** What may come next. A value may come in the states up to `VALUE_OR_END`. */
const VALUE = 0;
const VALUE_OR_END = 1;
const NAME = 2;
const NAME_OR_END = 3;
const COMMA_OR_END = 4;

/** The position of something that is not there. */
const NOWHERE = -1;

/**
 * Whether these bytes are certainly a JSON text (RFC 8259), of printable ASCII and nested 30 deep at most. `false` says nothing:
 * they may be JSON as well. For a publication made of trades `JSON.parse` takes at least three times as long, because it also
 * makes the values, and for one long string about as long. A text that is not ASCII is read twice.
 */
export function isPlainJson(bytes: Uint8Array): boolean {
  let at = 0;
  let depth = 0;
  let objects = 0;
  let next = VALUE;
  for (;;) {
    at = skipSpace(bytes, at);
    if (at === bytes.length) return depth === 0 && next === COMMA_OR_END;
    const byte = bytes[at] as number;
    if (next === COMMA_OR_END && byte === COMMA && depth > 0) {
      next = (objects & 1) === 1 ? NAME : VALUE;
      at += 1;
    } else if (byte === QUOTE && next !== COMMA_OR_END) {
      const isName = next === NAME || next === NAME_OR_END;
      at = isName ? endOfName(bytes, at + 1) : endOfString(bytes, at + 1);
      if (at === NOWHERE) return false;
      next = isName ? VALUE : COMMA_OR_END;
    } else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) {
      if (depth === 0 || next === VALUE || next === NAME) return false;
      if (((objects & 1) === 1) !== (byte === CLOSING_BRACE)) return false;
      objects >>= 1;
      depth -= 1;
      next = COMMA_OR_END;
      at += 1;
    } else if (next > VALUE_OR_END) {
      return false;
    } else if (byte === OPENING_BRACE || byte === OPENING_BRACKET) {
      if (depth === MAX_DEPTH) return false;
      depth += 1;
      objects = (objects << 1) | (byte === OPENING_BRACE ? 1 : 0);
      next = byte === OPENING_BRACE ? NAME_OR_END : VALUE_OR_END;
      at += 1;
    } else {
      at = endOfScalar(bytes, at);
      if (at === NOWHERE) return false;
      next = COMMA_OR_END;
    }
  }
}

function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && isSpace(bytes[at] as number)) at += 1;
  return at;
}

function isSpace(byte: number): boolean {
  if (byte > SPACE) return false;
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

/** The position behind a name and its colon. The name's first character is at `start`. */
function endOfName(bytes: Uint8Array, start: number): number {
  const end = endOfString(bytes, start);
  if (end === NOWHERE) return NOWHERE;
  const colon = skipSpace(bytes, end);
  return bytes[colon] === COLON ? colon + 1 : NOWHERE;
}

/** The position behind the quote that ends a string. The string's first character is at `start`. */
function endOfString(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    while (ORDINARY[bytes[at] as number] === 1) at += 1;
    if (bytes[at] === QUOTE) return at + 1;
    if (bytes[at] !== BACKSLASH) return NOWHERE;
    if (ESCAPED[bytes[at + 1] as number] === 1) {
      at += 2;
    } else {
      if (bytes[at + 1] !== LOWER_U) return NOWHERE;
      at += 2;
      for (let i = 0; i < HEXADECIMAL_DIGITS; i += 1, at += 1) {
        if (HEXADECIMAL[bytes[at] as number] !== 1) return NOWHERE;
      }
    }
  }
}

function endOfScalar(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] as number;
  if (byte === MINUS || isDigit(byte)) return endOfNumber(bytes, at);
  const literal = LITERALS.find((word) => word[0] === byte);
  if (literal === undefined) return NOWHERE;
  for (let i = 0; i < literal.length; i += 1) {
    if (bytes[at + i] !== literal[i]) return NOWHERE;
  }
  return at + literal.length;
}

function endOfNumber(bytes: Uint8Array, start: number): number {
  const whole = bytes[start] === MINUS ? start + 1 : start;
  let at = bytes[whole] === ZERO ? whole + 1 : endOfDigits(bytes, whole);
  if (at !== NOWHERE && bytes[at] === POINT) at = endOfDigits(bytes, at + 1);
  if (at === NOWHERE || (bytes[at] !== LOWER_E && bytes[at] !== UPPER_E)) return at;
  const hasSign = bytes[at + 1] === PLUS || bytes[at + 1] === MINUS;
  return endOfDigits(bytes, hasSign ? at + 2 : at + 1);
}

/** The position behind one or more digits. */
function endOfDigits(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isDigit(bytes[at] as number)) at += 1;
  return at === start ? NOWHERE : at;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function bytesThat(holds: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (holds(byte) ? 1 : 0));
}
