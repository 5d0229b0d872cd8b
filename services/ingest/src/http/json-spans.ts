/**
 * Finds the positions of the parts of a JSON text, so that they can be cut out as they were written: `1.10` stays `1.10`,
 * and 2^63 keeps its digits. `JSON.parse` must have accepted the text. For any other text the result is meaningless, but
 * every function still returns.
 */

/** A part of a text: from `start` (inclusive) to `end` (exclusive), in UTF-16 units, without white space around it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Returns the span of the value of a text. */
export function valueSpan(text: string): Span {
  const start = skipSpace(text, 0);
  return { start, end: endOfValue(text, start) };
}

/** Returns the spans of an array's elements, in order. @param array the array's own span. */
export function elementSpans(text: string, array: Span): readonly Span[] {
  const spans: Span[] = [];
  let at = skipSpace(text, array.start + 1);
  while (at < array.end && text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = endOfValue(text, at);
    spans.push({ start: at, end });
    at = skipSeparator(text, end);
  }
  return spans;
}

/**
 * Returns the spans of an object's values by key. Escaped keys are decoded, and the last of equal keys counts, as with
 * `JSON.parse`.
 *
 * @param object the object's own span.
 */
export function memberSpans(text: string, object: Span): ReadonlyMap<string, Span> {
  const spans = new Map<string, Span>();
  let at = skipSpace(text, object.start + 1);
  while (at < object.end && text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyEnd = endOfString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    const start = skipSeparator(text, keyEnd);
    const end = endOfValue(text, start);
    spans.set(key, { start, end });
    at = skipSeparator(text, end);
  }
  return spans;
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfContainer(text, start);
  let at = start + 1;
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at += 1;
  return at;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) {
    at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  }
  return at + 1;
}

function endOfContainer(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    at += 1;
    if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth += 1;
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth -= 1;
    if (depth === 0) return at;
  }
  return at;
}

function endsScalar(unit: number): boolean {
  return unit === COMMA || unit === CLOSE_BRACE || unit === CLOSE_BRACKET || isSpace(unit);
}

function skipSeparator(text: string, from: number): number {
  const at = skipSpace(text, from);
  const unit = text.charCodeAt(at);
  return unit === COMMA || unit === COLON ? skipSpace(text, at + 1) : at;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

/** The four characters that JSON allows between tokens. */
function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}
