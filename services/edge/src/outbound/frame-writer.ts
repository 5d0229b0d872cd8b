import type { Outbox } from '@tradewind/fanout';
import { FrameBuffer } from './frame-buffer.ts';
import type { SendWindow } from './send-window.ts';
import { type DirectSend, NO_DESCRIPTOR, sendNothing } from './socket-send.ts';
import type { WireFormat } from './wire-format.ts';

/** The part of a socket that writing needs. `net.Socket` is one. */
export interface ByteSink {
  /** How many bytes were written that the kernel has not taken. */
  readonly writableLength: number;
  /** False once it was destroyed or ended. */
  readonly writable: boolean;
  /** Whether it encrypts what is written, as a `tls.TLSSocket` does. */
  readonly encrypted?: boolean;
  write(bytes: Uint8Array, written?: (error?: Error | null) => void): boolean;
}

const NOTHING = Buffer.alloc(0);

/**
 * The most bytes of one write. A write costs 8 to 15 µs whatever its size, and 120 publications of 500 bytes share it. This is
 * also about what one read from Redis brings for one channel.
 */
const WRITE_BYTES = 64 * 1024;

/**
 * The size of the buffer for writes that are no larger, and for every write to a socket that its last write blocked. (A single
 * larger frame gets a larger buffer.) So a client that stalls again keeps this much at most, and a slow client shows in
 * steps of this size that it is alive.
 */
const SMALL_WRITE_BYTES = 16 * 1024;

/**
 * Publications that are larger than this on average, in bytes, are not gathered into larger writes: few would share a write,
 * and a client that stalls would keep four times as much of it.
 */
const LARGE_PUBLICATION_BYTES = 4 * 1024;

/**
 * The writes of one client's flush use this many buffers in turn. So the first buffer still holds what the next client's first
 * write begins with. A flush of more writes uses the first buffer again, and its frames are encoded anew.
 */
const BUFFERS_PER_FLUSH = 8;

/**
 * Writes all that waits in an outbox as WebSocket frames, many frames to one `write`.
 *
 * Complete, unmasked frames go straight to the socket, between the control frames that `ws` writes there itself. That is
 * sound as long as the connection is open (nothing may follow a close frame), permessage-deflate was not negotiated, and nothing
 * else of ours is sent through `ws`.
 *
 * The same buffers serve all clients. When a write leaves nothing behind, the kernel has its bytes. When it leaves something, the
 * socket gets a copy of the rest and no more. Only after a write through a stream that held nothing nobody knows what the
 * kernel took: then the stream keeps the buffer, and a new one takes its place.
 */
export class FrameWriter {
  /** How many bytes were handed to all sockets so far, frame headers included, and broken sockets too. */
  bytesOut = 0;
  readonly #send: DirectSend;
  /** The format of the clients that it writes to. */
  readonly format: WireFormat;
  readonly #large: BufferRow;
  readonly #small: BufferRow;

  /** @param send for writes with a descriptor. */
  constructor(format: WireFormat, send: DirectSend = sendNothing) {
    this.#send = send;
    this.format = format;
    this.#large = new BufferRow(WRITE_BYTES, format);
    this.#small = new BufferRow(SMALL_WRITE_BYTES, format);
  }

  /**
   * Writes until the outbox is empty or the socket is blocked.
   *
   * @param cautious whether the socket's last write left something behind.
   * @param unblocked is called once after a write that blocked the socket, when the kernel has all of it. No other write has a
   *   callback, which would cost it an allocation and a turn of the tick queue.
   * @param descriptor of the socket. With it the bytes go to the kernel past the stream, and the stream gets only what the kernel
   *   does not take.
   * @param window bounds what is written before the client has read it. `unblocked` is also called when it has shut.
   */
  write(
    outbox: Outbox,
    sink: ByteSink,
    cautious: boolean,
    unblocked: (error?: Error | null) => void,
    descriptor = NO_DESCRIPTOR,
    window?: SendWindow,
  ): void {
    for (let i = 0; outbox.size > 0 && !outbox.blocked; i = (i + 1) % BUFFERS_PER_FLUSH) {
      const isSmall =
        cautious || this.#bytesWaiting(outbox) <= SMALL_WRITE_BYTES || waitsForLarge(outbox);
      const row = isSmall ? this.#small : this.#large;
      const buffer = row.at(i);
      const length = buffer.fill(outbox);
      this.bytesOut += length;
      const isDirect = descriptor !== NO_DESCRIPTOR && sink.writableLength === 0 && sink.writable;
      const taken = isDirect ? this.#send(descriptor, buffer.bytes, length) : 0;
      const isUnfinished = taken < length && this.#writeRest(sink, row, i, taken, length, isDirect);
      const isShut = window?.wrote(length) === true;
      if (!isUnfinished && !isShut) continue;
      outbox.blocked = true;
      sink.write(NOTHING, unblocked);
    }
  }

  /** The most bytes that the publications that wait will take as frames. */
  #bytesWaiting(outbox: Outbox): number {
    return outbox.bytes + outbox.size * this.format.overheadBytes;
  }

  /** Gives the stream what the kernel has not taken. Returns whether the stream is left with some of it. */
  #writeRest(
    sink: ByteSink,
    row: BufferRow,
    i: number,
    taken: number,
    length: number,
    isDirect: boolean,
  ): boolean {
    const rest = row.at(i).bytes.subarray(taken, length);
    const wasEmpty = sink.writableLength === 0;
    // TLS counts each write as unfinished until the next turn, so what shows that the kernel is behind is what was left before.
    const isEncrypted = sink.encrypted === true;
    const isCopied = isDirect || !wasEmpty || isEncrypted;
    sink.write(isCopied ? new Uint8Array(rest) : rest);
    if (sink.writableLength === 0 || (isEncrypted && wasEmpty)) return false;
    if (!isCopied) row.giveAway(i);
    return true;
  }
}

/** Buffers of one size, which are made when they are first needed. */
class BufferRow {
  readonly #bytes: number;
  readonly #format: WireFormat;
  readonly #buffers: (FrameBuffer | undefined)[] = [];

  constructor(bytes: number, format: WireFormat) {
    this.#bytes = bytes;
    this.#format = format;
  }

  at(i: number): FrameBuffer {
    this.#buffers[i] ??= new FrameBuffer(this.#bytes, this.#format);
    return this.#buffers[i];
  }

  /** Someone else keeps the buffer's memory. */
  giveAway(i: number): void {
    this.#buffers[i] = undefined;
  }
}

function waitsForLarge(outbox: Outbox): boolean {
  return outbox.bytes > outbox.depth * LARGE_PUBLICATION_BYTES;
}
