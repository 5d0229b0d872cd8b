import { BinaryFrameError } from './binary-fault.ts';
import { MAX_VARINT_BYTES, varintBytes, writeVarint } from './varint.ts';

/** The subprotocol with binary publications. Control messages are the same JSON text frames as in the first one. */
export const BINARY_SUBPROTOCOL = 'tradewind.v2';

// A publication is one binary frame: `seq`, which is the client's, and a body, which all clients of a node share:
//   ref (varint) · flags (1 byte) · [offset (varint)] · time (signed varint) · [skipped (varint)] · payload up to the end

const HAS_OFFSET = 0b0001;
const IS_DEFLATED = 0b0010;
const HAS_SKIPPED = 0b0100;
const UNKNOWN_FLAGS = 0b1000;
const REFERENCE_SHIFT = 4;

/** Labels of references: 1 to 15. 0 is a payload that was deflated without a reference. */
const REFERENCE_LABELS = 15;

/**
 * What a frame says of a reference: its `id` from 1 on, in four bits. The two references of a channel that are live at a
 * time have ids that follow one another, so their labels differ.
 *
 * @param id 0 for none.
 */
export function referenceLabel(id: number): number {
  return id === 0 ? 0 : ((id - 1) % REFERENCE_LABELS) + 1;
}

/** What all clients of a node are sent alike of a publication. */
export interface BinaryBody {
  /** The node's number for the channel, from 1 to 2^53−1. */
  readonly ref: number;
  /** From 1 to 2^53−1; 0 for a plain publication, which has none. */
  readonly offset: number;
  /** When it was published, less the channel's base, in ms: from −(2^53−1) to 2^53−1. */
  readonly time: number;
  /** How many publications were skipped before it, for a subscription to the latest one; 0 is not sent. */
  readonly skipped?: number;
  /** The payload: JSON in UTF-8, or the same deflated. */
  readonly payload: Uint8Array;
  /** The `id` of the reference that the payload was deflated against; 0 if there was none. Undefined if it is not deflated. */
  readonly reference?: number | undefined;
}

/**
 * Encodes the body of a binary publication: everything behind `seq`. It may be shared, so nobody may write to it.
 *
 * @param body is believed: its numbers are not checked.
 * @param allocate returns memory that no other code writes to.
 */
export function encodeBinaryBody(
  { ref, offset, time, skipped = 0, payload, reference }: BinaryBody,
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Uint8Array {
  const head =
    varintBytes(ref) +
    1 +
    (offset > 0 ? varintBytes(offset) : 0) +
    timeBytes(time) +
    (skipped > 0 ? varintBytes(skipped) : 0);
  const body = allocate(head + payload.length);
  let at = writeVarint(body, 0, ref);
  body[at] =
    (offset > 0 ? HAS_OFFSET : 0) |
    (skipped > 0 ? HAS_SKIPPED : 0) |
    (reference === undefined ? 0 : IS_DEFLATED | (referenceLabel(reference) << REFERENCE_SHIFT));
  at += 1;
  if (offset > 0) at = writeVarint(body, at, offset);
  at = writeTime(body, at, time);
  if (skipped > 0) at = writeVarint(body, at, skipped);
  body.set(payload, at);
  return body;
}

/** A binary frame, taken apart. Whether its channel and reference exist was not looked at. */
export interface BinaryFrame {
  readonly seq: number;
  readonly ref: number;
  /** 0 for a plain publication. */
  readonly offset: number;
  /** See {@link BinaryBody.time}. */
  readonly time: number;
  /** 0 if nothing was skipped. */
  readonly skipped: number;
  /** The {@link referenceLabel} of the reference that the payload was deflated against. Undefined if it is not deflated. */
  readonly label: number | undefined;
  /** A view into the frame; never empty. */
  readonly payload: Uint8Array;
}

/**
 * Takes a binary frame apart. It reads each byte once and allocates nothing but the result.
 *
 * @throws {@link BinaryFrameError} for any bytes that are not such a frame.
 */
export function parseBinaryFrame(frame: Uint8Array): BinaryFrame {
  const reader = new FrameReader(frame);
  const seq = reader.positive('seq');
  const ref = reader.positive('ref');
  const flags = reader.byte();
  const label = flags >> REFERENCE_SHIFT;
  const isDeflated = (flags & IS_DEFLATED) !== 0;
  if ((flags & UNKNOWN_FLAGS) !== 0 || (label > 0 && !isDeflated)) {
    throw new BinaryFrameError('bad_flags', `a frame has the unknown flags ${flags}`);
  }
  const offset = (flags & HAS_OFFSET) === 0 ? 0 : reader.positive('offset');
  const time = reader.time();
  const skipped = (flags & HAS_SKIPPED) === 0 ? 0 : reader.positive('skipped');
  const payload = frame.subarray(reader.at);
  if (payload.length === 0) throw new BinaryFrameError('empty', 'a frame has no payload');
  return { seq, ref, offset, time, skipped, label: isDeflated ? label : undefined, payload };
}

/** Reads the fields of one frame in order. */
class FrameReader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new BinaryFrameError('truncated', 'a frame ends inside a field');
    this.at += 1;
    return byte;
  }

  positive(field: string): number {
    const integer = this.#varint();
    if (integer === 0) throw new BinaryFrameError('zero', `a frame has the ${field} 0`);
    return integer;
  }

  /** A signed varint: the lowest bit says whether it is negative, and then the rest is the number below −1. */
  time(): number {
    const first = this.byte();
    let magnitude = (first & 0x7f) >> 1;
    if ((first & 0x80) !== 0) {
      const rest = this.#varint();
      if (rest === 0) throw tooLong();
      magnitude += rest * 64;
    }
    const time = (first & 1) === 0 ? magnitude : -magnitude - 1;
    if (!Number.isSafeInteger(time)) throw tooLarge();
    return time;
  }

  #varint(): number {
    let integer = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i += 1) {
      const byte = this.byte();
      integer += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte >= 128) continue;
      if (byte === 0 && i > 0) throw tooLong();
      if (!Number.isSafeInteger(integer)) throw tooLarge();
      return integer;
    }
    throw tooLong();
  }
}

function tooLong(): BinaryFrameError {
  return new BinaryFrameError('bad_varint', 'a number takes more bytes than it needs');
}

function tooLarge(): BinaryFrameError {
  return new BinaryFrameError('number_too_large', 'a number is larger than 2^53−1');
}

function timeBytes(time: number): number {
  const magnitude = time < 0 ? -(time + 1) : time;
  return magnitude < 64 ? 1 : 1 + varintBytes(Math.floor(magnitude / 64));
}

function writeTime(bytes: Uint8Array, start: number, time: number): number {
  const sign = time < 0 ? 1 : 0;
  const magnitude = time < 0 ? -(time + 1) : time;
  const low = ((magnitude % 64) << 1) | sign;
  if (magnitude < 64) {
    bytes[start] = low;
    return start + 1;
  }
  bytes[start] = low | 0x80;
  return writeVarint(bytes, start + 1, Math.floor(magnitude / 64));
}
