import { CONTROL, type Publication } from '@tradewind/fanout';
import { encodeLatestBody, encodeServerMessage, JSON_SUBPROTOCOL } from '@tradewind/protocol';
import { encodeHeader, LONGEST_HEADER_BYTES, TEXT_FRAME } from './frame-header.ts';
import type { FrameMemory, SequenceRange, WireFormat } from './wire-format.ts';

const LONGEST_SEQUENCE_DIGITS = 16;
/** `{"seq":`, as two words of 32 bits that share a byte. */
const PREFIX_BYTES = 7;
const PREFIX_BEGIN = 0x7b227365;
const PREFIX_END = 0x6571223a;

/** 00 to 99 as two digits each: half as many divisions, and half as many stores. */
const PAIRS_OF_DIGITS = Uint16Array.from(
  { length: 100 },
  (_, i) => ((0x30 + Math.floor(i / 10)) << 8) | (0x30 + (i % 10)),
);

/** The sequence numbers that have each number of digits, from 0 digits on. */
const RANGES: readonly SequenceRange[] = Array.from(
  { length: LONGEST_SEQUENCE_DIGITS + 1 },
  (_, digits) => ({ from: 10 ** (digits - 1), end: 10 ** digits }),
);

/** JSON in text frames, `tradewind.v1.json`: a publication is `{"seq":n` and its body, which is the same for all clients. */
export const JSON_FRAMES: WireFormat = Object.freeze({
  subprotocol: JSON_SUBPROTOCOL,
  isBinary: false,
  overheadBytes: LONGEST_HEADER_BYTES + PREFIX_BYTES + LONGEST_SEQUENCE_DIGITS,
  encodeControl: encodeServerMessage,
  bodyOf,
  encodeFrame,
  renumber: ({ view }, contentStart, sequence) => encodeDigits(view, contentStart, sequence),
  sequencesOfWidth: (sequence) => RANGES[digitsOf(sequence)] as SequenceRange,
} satisfies WireFormat);

function bodyOf({ body, channel, offset, publishedAt }: Publication, skipped = 0): Uint8Array {
  if (skipped === 0) return body;
  const sequenced = offset === 0 ? undefined : offset;
  return encodeLatestBody(body, channel, sequenced, publishedAt, skipped, Buffer.allocUnsafe);
}

function encodeFrame(
  { bytes, view }: FrameMemory,
  start: number,
  sequence: number,
  content: Uint8Array,
): number {
  const digits = sequence === CONTROL ? 0 : digitsOf(sequence);
  const prefix = digits === 0 ? 0 : PREFIX_BYTES + digits;
  let at = encodeHeader(view, start, TEXT_FRAME, prefix + content.length);
  if (prefix > 0) {
    view.setUint32(at, PREFIX_BEGIN);
    view.setUint32(at + 3, PREFIX_END);
    at += prefix;
    encodeDigits(view, at, sequence);
  }
  bytes.set(content, at);
  return at + content.length;
}

/** How many decimal digits a positive integer has. */
function digitsOf(integer: number): number {
  let digits = 1;
  for (let bound = 10; integer >= bound; bound *= 10) digits += 1;
  return digits;
}

/** Writes the decimal digits of a positive integer so that they end before `end`. */
function encodeDigits(view: DataView, end: number, integer: number): void {
  let at = end;
  let rest = integer;
  while (rest >= 100) {
    // Integers of 32 bits are divided several times faster.
    const next = rest < 2 ** 31 ? (rest / 100) | 0 : Math.floor(rest / 100);
    at -= 2;
    view.setUint16(at, PAIRS_OF_DIGITS[rest - next * 100] as number);
    rest = next;
  }
  if (rest >= 10) view.setUint16(at - 2, PAIRS_OF_DIGITS[rest] as number);
  else view.setUint8(at - 1, 0x30 + rest);
}
