/** Counts of one connection's frames and their irregularities. Plain numbers that only grow. */
export interface FrameCounts {
  /** Publications that arrived whole. */
  publications: number;
  /** All other text frames. */
  controls: number;
  /** Bytes, frame headers included. */
  bytes: number;
  /** Numbers of the sequence that were skipped. */
  missing: number;
  /** Publications whose number was not above all numbers before it. */
  disordered: number;
}

export function createFrameCounts(): FrameCounts {
  return { publications: 0, controls: 0, bytes: 0, missing: 0, disordered: 0 };
}

/** {@link FrameShape.read} returns this for a frame that is not a publication. */
export const NOT_A_PUBLICATION = -1;

/** {@link FrameShape.read} returns this for a publication without a number. */
export const UNNUMBERED = 0;

/** How to tell a server's publications from its other text frames by their first bytes. */
export interface FrameShape {
  /** Bytes of a payload that `read` must see; the whole payload if it is shorter. */
  readonly prefixBytes: number;
  /**
   * Reads a text frame's payload, which lies from `start` to `end`.
   *
   * @returns the publication's number from 1, {@link UNNUMBERED} or {@link NOT_A_PUBLICATION}.
   */
  read(bytes: Buffer, start: number, end: number): number;
  /** The same for a binary frame. Without it there must be none. */
  readBinary?(bytes: Buffer, start: number, end: number): number;
}

/**
 * Receives the reports of a {@link FrameCounter}, in the order of the frames. The bytes are lent: they change after the
 * call.
 */
export interface FrameListener {
  /** A whole text frame that is not a publication. */
  control(payload: Buffer): void;
  /** The first {@link SAMPLE_BYTES} bytes of a sampled publication, after all of it has arrived. */
  sample(start: Buffer): void;
  /** The server closes with this code, or with 1005 if it gives none. Nothing is read after it. */
  closing(code: number): void;
  /** The server pings. */
  ping(payload: Buffer): void;
}

/**
 * Bytes of a sampled publication that are reported: an envelope with the longest channel name takes 230, and the time
 * stands at the beginning of the payload.
 */
export const SAMPLE_BYTES = 320;

/** The largest control frame that is buffered until all of it has arrived; answers to a request stay far below. */
const MAX_CONTROL_BYTES = 1024 * 1024;

const FIN_AND_RESERVED = 0xf0;
const FIN = 0x80;
const MASKED = 0x80;
const OPCODE_TEXT = 1;
const OPCODE_BINARY = 2;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;
const OPCODE_PONG = 10;
const NO_STATUS_RECEIVED = 1005;
const MORE_IS_NEEDED = -1;

/**
 * Counts the frames of a server's byte stream without parsing their payloads. It reads the header of each frame and the
 * few bytes that its {@link FrameShape} needs, so one process counts millions of frames a second, and a measurement
 * measures the server and not the load.
 * Frames must be unmasked and unfragmented, as servers that broadcast write them.
 */
export class FrameCounter {
  readonly counts: FrameCounts;
  readonly #shape: FrameShape;
  readonly #listener: FrameListener;
  readonly #sampleEvery: number;
  #untilSample: number;
  #highest = 0;
  /** The first bytes of a frame, or of a control frame, whose rest has not arrived. */
  #pending: Buffer | undefined;
  /** Bytes of the current publication that have not arrived and will be skipped. */
  #skip = 0;
  /** The number of that publication, and its beginning if it is sampled. */
  #skippedNumber = UNNUMBERED;
  #skippedSample: Buffer | undefined;
  #closed = false;

  /**
   * @param sampleEvery one in this many publications is reported to the listener.
   * @param firstSample the index of the first one, from 1 to `sampleEvery`; spread over the connections.
   */
  constructor(
    shape: FrameShape,
    listener: FrameListener,
    sampleEvery: number,
    firstSample: number,
  ) {
    this.counts = createFrameCounts();
    this.#shape = shape;
    this.#listener = listener;
    this.#sampleEvery = sampleEvery;
    this.#untilSample = firstSample;
  }

  /**
   * Takes the next bytes of the stream. They may be reused afterwards.
   *
   * @throws Error when the bytes are not such frames; the connection is of no use then.
   */
  push(chunk: Buffer): void {
    if (this.#closed) return;
    this.counts.bytes += chunk.length;
    let bytes = chunk;
    let at = 0;
    if (this.#skip > 0) {
      if (this.#skip > chunk.length) {
        this.#skip -= chunk.length;
        return;
      }
      at = this.#skip;
      this.#skip = 0;
      this.#count(this.#skippedNumber, this.#skippedSample);
      this.#skippedSample = undefined;
    } else if (this.#pending !== undefined) {
      bytes = Buffer.concat([this.#pending, chunk]);
      this.#pending = undefined;
    }
    while (at < bytes.length) {
      const next = this.#frame(bytes, at);
      if (this.#closed) return;
      if (next === MORE_IS_NEEDED) {
        this.#pending = Buffer.from(bytes.subarray(at));
        return;
      }
      if (next > bytes.length) {
        this.#skip = next - bytes.length;
        return;
      }
      at = next;
    }
  }

  /** Reads the frame at `at` and returns where it ends, which may lie beyond the bytes. */
  #frame(bytes: Buffer, at: number): number {
    const available = bytes.length - at;
    if (available < 2) return MORE_IS_NEEDED;
    const first = bytes[at] as number;
    const second = bytes[at + 1] as number;
    const opcode = first & 0x0f;
    if ((first & FIN_AND_RESERVED) !== FIN || (second & MASKED) !== 0) {
      throw new Error(
        `a frame that no broadcast server sends: 0x${bytes.toString('hex', at, at + 2)}`,
      );
    }
    let length = second;
    let start = at + 2;
    if (length === 126) {
      if (available < 4) return MORE_IS_NEEDED;
      length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
      start = at + 4;
    } else if (length === 127) {
      if (available < 10) return MORE_IS_NEEDED;
      length = Number(bytes.readBigUInt64BE(at + 2));
      start = at + 10;
    }
    const end = start + length;
    const isBinary = opcode === OPCODE_BINARY && this.#shape.readBinary !== undefined;
    if (opcode !== OPCODE_TEXT && !isBinary) return this.#protocolFrame(opcode, bytes, start, end);
    const here = Math.min(end, bytes.length);
    if (here - start < Math.min(length, this.#shape.prefixBytes)) return MORE_IS_NEEDED;
    const number =
      (isBinary ? this.#shape.readBinary?.(bytes, start, here) : undefined) ??
      this.#shape.read(bytes, start, here);
    if (number === NOT_A_PUBLICATION) return this.#control(bytes, start, end);
    if (here === end) {
      this.#count(number, this.#isSampled() ? sampleOf(bytes, start, end) : undefined);
      return end;
    }
    if (this.#isSampled()) {
      if (here - start < Math.min(length, SAMPLE_BYTES)) return MORE_IS_NEEDED;
      this.#skippedSample = Buffer.from(sampleOf(bytes, start, here));
    }
    this.#skippedNumber = number;
    return end;
  }

  #isSampled(): boolean {
    return this.#untilSample <= 1;
  }

  #count(number: number, sample: Buffer | undefined): void {
    const { counts } = this;
    counts.publications += 1;
    if (number !== UNNUMBERED) {
      const step = number - this.#highest;
      if (step > 0) {
        counts.missing += step - 1;
        this.#highest = number;
      } else {
        counts.disordered += 1;
      }
    }
    if (sample === undefined) {
      this.#untilSample -= 1;
    } else {
      this.#untilSample = this.#sampleEvery;
      this.#listener.sample(sample);
    }
  }

  #control(bytes: Buffer, start: number, end: number): number {
    if (end - start > MAX_CONTROL_BYTES) throw new Error(`a control frame of ${end - start} bytes`);
    if (end > bytes.length) return MORE_IS_NEEDED;
    this.counts.controls += 1;
    this.#listener.control(bytes.subarray(start, end));
    return end;
  }

  #protocolFrame(opcode: number, bytes: Buffer, start: number, end: number): number {
    if (opcode !== OPCODE_CLOSE && opcode !== OPCODE_PING && opcode !== OPCODE_PONG) {
      throw new Error(`a frame with opcode ${opcode}, which is neither text nor control`);
    }
    if (end - start > 125) throw new Error(`a protocol frame of ${end - start} bytes`);
    if (end > bytes.length) return MORE_IS_NEEDED;
    if (opcode === OPCODE_PING) {
      this.#listener.ping(bytes.subarray(start, end));
    } else if (opcode === OPCODE_CLOSE) {
      this.#closed = true;
      this.#listener.closing(end - start >= 2 ? bytes.readUInt16BE(start) : NO_STATUS_RECEIVED);
    }
    return end;
  }
}

function sampleOf(bytes: Buffer, start: number, end: number): Buffer {
  return bytes.subarray(start, Math.min(end, start + SAMPLE_BYTES));
}
