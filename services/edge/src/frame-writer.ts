import { CONTROL, type Outbox } from '@tradewind/fanout';

/** As much of a socket as writing needs; `net.Socket` is one. */
export interface ByteSink {
  /** Bytes that were written and that the kernel has not taken. */
  readonly writableLength: number;
  write(bytes: Uint8Array, written: (error?: Error | null) => void): boolean;
}

/**
 * One write carries at most this many bytes. A write costs 8 to 15 µs whatever its size, and at 500
 * bytes 120 publications share it; and the kernel may leave all of it with us (see {@link FrameWriter}).
 */
const WRITE_BYTES = 64 * 1024;

/**
 * The same for a socket that was blocked by its last write: a stalled client then holds no more
 * than this, and a slow one shows in steps of this size that it is alive.
 */
const CAUTIOUS_WRITE_BYTES = 16 * 1024;

/** A text frame in one piece, FIN set (RFC 6455, section 5.2). */
const TEXT_FRAME = 0x81;
const LONGEST_SEQUENCE_DIGITS = 16;
const SEQUENCE_PREFIX = Buffer.from('{"seq":', 'latin1');
const LONGEST_HEADER_BYTES = 10;

/** The most that a frame adds to a publication's tail: header, `{"seq":` and the number. */
const FRAME_OVERHEAD_BYTES =
  LONGEST_HEADER_BYTES + SEQUENCE_PREFIX.length + LONGEST_SEQUENCE_DIGITS;

/**
 * Writes all that waits in an outbox as WebSocket frames, many frames to one `write`.
 *
 * Complete, unmasked text frames go straight to the socket, between the control frames that `ws`
 * writes there itself. That is sound as long as the connection is open (nothing may follow a close
 * frame), permessage-deflate was not negotiated, and nothing else of ours is sent through `ws`.
 *
 * One buffer serves all clients: when a write leaves nothing behind, the kernel has its bytes.
 * When it does leave something, that socket keeps the buffer and a new one takes its place.
 */
export class FrameWriter {
  /** Bytes written so far, to all sockets, frame headers included. */
  bytesOut = 0;
  #buffer = Buffer.allocUnsafeSlow(WRITE_BYTES);

  /**
   * Writes until the outbox is empty or the socket is blocked. `written` is called once for each
   * write, later, when the kernel has it.
   *
   * @param cautious whether the socket's last write was left behind.
   * @param starting called before each write.
   */
  write(
    outbox: Outbox,
    sink: ByteSink,
    cautious: boolean,
    starting: () => void,
    written: (error?: Error | null) => void,
  ): void {
    while (outbox.size > 0 && !outbox.blocked) {
      const length = this.#fill(outbox, cautious ? CAUTIOUS_WRITE_BYTES : WRITE_BYTES);
      const filled = this.#buffer.subarray(0, length);
      starting();
      sink.write(cautious ? copyOf(filled) : filled, written);
      this.bytesOut += length;
      if (sink.writableLength > 0) {
        outbox.blocked = true;
        if (!cautious) this.#buffer = Buffer.allocUnsafeSlow(WRITE_BYTES);
      }
    }
  }

  /** Encodes entries into the buffer as long as they fit into `cap` bytes, and at least one. */
  #fill(outbox: Outbox, cap: number): number {
    let end = 0;
    for (;;) {
      const bytes = outbox.peek();
      if (bytes === undefined) return end;
      const most = end + bytes.length + FRAME_OVERHEAD_BYTES;
      if (most > cap) {
        if (end > 0) return end;
        if (most > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(most);
      }
      end = encodeFrame(this.#buffer, end, outbox.peekSequence(), bytes);
      outbox.shift();
    }
  }
}

/** In memory of its own: `Buffer.from` may cut it out of a pool, and all of that would stay alive. */
function copyOf(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

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
  const prefix = digits === 0 ? 0 : SEQUENCE_PREFIX.length + digits;
  let at = encodeHeader(buffer, start, prefix + bytes.length);
  if (prefix > 0) {
    buffer.set(SEQUENCE_PREFIX, at);
    at += prefix;
    encodeDigits(buffer, at, sequence);
  }
  buffer.set(bytes, at);
  return at + bytes.length;
}

function encodeHeader(buffer: Buffer, start: number, length: number): number {
  buffer[start] = TEXT_FRAME;
  if (length < 126) {
    buffer[start + 1] = length;
    return start + 2;
  }
  if (length < 65_536) {
    buffer[start + 1] = 126;
    return buffer.writeUInt16BE(length, start + 2);
  }
  buffer[start + 1] = 127;
  buffer.writeUInt32BE(0, start + 2);
  return buffer.writeUInt32BE(length, start + 6);
}

function digitsOf(integer: number): number {
  let digits = 1;
  for (let bound = 10; integer >= bound; bound *= 10) digits += 1;
  return digits;
}

/** Writes the decimal digits of a positive integer so that they end before `end`. */
function encodeDigits(buffer: Buffer, end: number, integer: number): void {
  let at = end;
  let rest = integer;
  do {
    const next = Math.floor(rest / 10);
    at -= 1;
    buffer[at] = 0x30 + (rest - next * 10);
    rest = next;
  } while (rest > 0);
}
