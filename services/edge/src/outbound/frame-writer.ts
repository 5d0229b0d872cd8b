import type { Outbox } from '@tradewind/fanout';
import { FrameBuffer } from './frame-buffer.ts';
import type { SendWindow } from './send-window.ts';
import { type DirectSend, NO_DESCRIPTOR, sendNothing } from './socket-send.ts';
import type { WireFormat } from './wire-format.ts';

/** The part of a socket that a {@link FrameWriter} needs. `net.Socket` is one. */
export interface ByteSink {
  /** How many written bytes the kernel has not taken. */
  readonly writableLength: number;
  /** False once the socket was destroyed or ended. */
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
 * The most bytes of a write to a socket that its last write blocked, and the size of the buffer for all writes that are no larger.
 * (A single larger frame gets a larger buffer.) So a client that stalls again holds at most this much, and a slow client shows a
 * sign of life for each write of this size.
 */
const SMALL_WRITE_BYTES = 16 * 1024;

/**
 * If the publications that wait are larger than this on average, in bytes, writes stay at {@link SMALL_WRITE_BYTES}: few publications
 * would share a larger write, and a client that stalls would hold four times as much.
 */
const LARGE_PUBLICATION_BYTES = 4 * 1024;

/**
 * How many buffers the writes of one client's flush use in turn. So the first buffer still holds the frames that the next client's
 * first write begins with. A flush of more writes overwrites the first buffer, and the frames are encoded anew.
 */
const BUFFERS_PER_FLUSH = 8;

/**
 * Writes all that waits in an outbox as WebSocket frames, many frames to one `write`.
 *
 * Complete, unmasked frames go straight to the socket, between the control frames that `ws` writes there itself. That is
 * sound as long as the connection is open (nothing may follow a close frame), permessage-deflate was not negotiated, and nothing
 * else of ours is sent through `ws`.
 *
 * The same buffers serve all clients. If the kernel takes all bytes of a write, the buffer is free again. If it takes fewer, the
 * socket's stream gets a copy of the rest. But a write through an empty stream does not tell how much the kernel took: if some is
 * left, the stream keeps the buffer, and a new one replaces it.
 */
export class FrameWriter {
  /** How many bytes were handed to all sockets so far, including frame headers, and bytes to broken sockets. */
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
   * @param unblocked called once after a write that blocked the socket, when the kernel has all of it. No other write has a
   *   callback, which would cost an allocation and a turn of the tick queue.
   * @param descriptor of the socket. With it the bytes bypass the stream, which gets only what the kernel does not take.
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

  /** The most bytes that the frames of the waiting publications take. */
  #bytesWaiting(outbox: Outbox): number {
    return outbox.bytes + outbox.size * this.format.overheadBytes;
  }

  /** Writes to the stream what the kernel has not taken. Returns whether the stream still holds some of it. */
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
    // TLS counts each write as unfinished until the next turn. So the socket is blocked only if an earlier write was left, too.
    const isEncrypted = sink.encrypted === true;
    const isCopied = isDirect || !wasEmpty || isEncrypted;
    sink.write(isCopied ? new Uint8Array(rest) : rest);
    if (sink.writableLength === 0 || (isEncrypted && wasEmpty)) return false;
    if (!isCopied) row.giveAway(i);
    return true;
  }
}

/** Buffers of one size, each made when it is first needed. */
class BufferRow {
  readonly #bytes: number;
  readonly #format: WireFormat;
  readonly #buffers: (FrameBuffer | undefined)[] = [];

  constructor(bytes: number, format: WireFormat) {
    this.#bytes = bytes;
    this.#format = format;
  }

  /** The buffer with this index, from 0. */
  at(i: number): FrameBuffer {
    this.#buffers[i] ??= new FrameBuffer(this.#bytes, this.#format);
    return this.#buffers[i];
  }

  /** Gives up a buffer, whose memory a stream keeps. */
  giveAway(i: number): void {
    this.#buffers[i] = undefined;
  }
}

function waitsForLarge(outbox: Outbox): boolean {
  return outbox.bytes > outbox.depth * LARGE_PUBLICATION_BYTES;
}
