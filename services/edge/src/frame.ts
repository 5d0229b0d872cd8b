import { CONTROL } from '@tradewind/fanout';

/** A text frame in one piece, FIN set (RFC 6455, section 5.2). */
const TEXT_FRAME = 0x81;
const LONGEST_SEQUENCE_DIGITS = 16;
/** `{"seq":` */
const PREFIX_BYTES = 7;
const LONGEST_HEADER_BYTES = 10;

/** The most that a frame adds to a publication's tail: header, `{"seq":` and the number. */
export const FRAME_OVERHEAD_BYTES = LONGEST_HEADER_BYTES + PREFIX_BYTES + LONGEST_SEQUENCE_DIGITS;

/**
 * Encodes one text frame at `start` and returns where it ends.
 *
 * @param sequence the client's number for the publication, or `CONTROL` for a control frame.
 * @param bytes the publication's tail, or the control frame's whole payload.
 */
export function encodeFrame(
  buffer: Buffer,
  start: number,
  sequence: number,
  bytes: Uint8Array,
): number {
  const digits = sequence === CONTROL ? 0 : digitsOf(sequence);
  const prefix = digits === 0 ? 0 : PREFIX_BYTES + digits;
  let at = encodeHeader(buffer, start, prefix + bytes.length);
  if (prefix > 0) {
    encodePrefix(buffer, at);
    at += prefix;
    encodeDigits(buffer, at, sequence);
  }
  buffer.set(bytes, at);
  return at + bytes.length;
}

/** Byte by byte, which costs a fifth of copying so few. */
function encodePrefix(buffer: Buffer, at: number): void {
  buffer[at] = 0x7b;
  buffer[at + 1] = 0x22;
  buffer[at + 2] = 0x73;
  buffer[at + 3] = 0x65;
  buffer[at + 4] = 0x71;
  buffer[at + 5] = 0x22;
  buffer[at + 6] = 0x3a;
}

function encodeHeader(buffer: Buffer, start: number, length: number): number {
  buffer[start] = TEXT_FRAME;
  if (length < 126) {
    buffer[start + 1] = length;
    return start + 2;
  }
  if (length < 65_536) {
    buffer[start + 1] = 126;
    buffer[start + 2] = length >>> 8;
    buffer[start + 3] = length & 0xff;
    return start + 4;
  }
  buffer[start + 1] = 127;
  buffer.writeUInt32BE(0, start + 2);
  return buffer.writeUInt32BE(length, start + 6);
}

/** Decimal digits of a positive integer. */
function digitsOf(integer: number): number {
  let digits = 1;
  for (let bound = 10; integer >= bound; bound *= 10) digits += 1;
  return digits;
}

/** Writes the decimal digits of a positive integer so that they end before `end`. */
export function encodeDigits(buffer: Buffer, end: number, integer: number): void {
  let at = end;
  let rest = integer;
  do {
    // Whole numbers of 32 bits are divided several times faster.
    const next = rest < 2 ** 31 ? (rest / 10) | 0 : Math.floor(rest / 10);
    at -= 1;
    buffer[at] = 0x30 + (rest - next * 10);
    rest = next;
  } while (rest > 0);
}
