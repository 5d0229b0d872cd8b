import type { Socket } from 'node:net';

/** The faults of one direction. */
export interface PipeWeather {
  /** Each byte arrives this many ms later; 0 for none. */
  readonly delayMs: number;
  /** Undefined: without a limit. */
  readonly bytesPerSecond: number | undefined;
  /** Nothing arrives, not even the end. Bytes that are sent wait, because TCP would send them again. */
  readonly blackhole: boolean;
}

/** Bytes that wait in a pipe before its source is no longer read, so that the peer notices. */
const MAX_WAITING_BYTES = 256 * 1024;

/** Throttled bytes travel in pieces of this size. */
const PIECE_BYTES = 1_024;

interface Waiting {
  readonly bytes: Buffer;
  /** ms of `performance.now()`. */
  readonly dueAt: number;
}

/** One direction of a proxied connection. Its owner ends both sockets; it owns its timer. */
export class TcpPipe {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #weather: () => PipeWeather;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #sinkFull = false;
  #sourceEnded = false;
  #closed = false;

  /** @param weather called whenever bytes arrive or could continue. */
  constructor(source: Socket, sink: Socket, weather: () => PipeWeather) {
    this.#source = source;
    this.#sink = sink;
    this.#weather = weather;
    for (const event of ['drain', 'close']) {
      sink.on(event, () => {
        this.#sinkFull = false;
        this.flow();
      });
    }
  }

  /** Sends bytes on, under the current faults. */
  push(bytes: Buffer): void {
    if (this.#closed || bytes.length === 0) return;
    const { delayMs, bytesPerSecond } = this.#weather();
    const now = performance.now();
    if (bytesPerSecond === undefined) {
      this.#wait(bytes, now + delayMs);
    } else {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES);
        this.#freeAt = Math.max(this.#freeAt, now) + (piece.length * 1_000) / bytesPerSecond;
        this.#wait(piece, this.#freeAt + delayMs);
      }
    }
    this.flow();
  }

  /** Reports the end of the source. The sink ends after everything that was sent before has arrived. */
  end(): void {
    this.#sourceEnded = true;
    this.flow();
  }

  /** Sends what may be sent now; call it after the faults have changed. */
  flow(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const { blackhole } = this.#weather();
    while (!blackhole && !this.#sinkFull && this.#waiting.length > 0) {
      const { bytes, dueAt } = this.#waiting[0]!;
      const early = dueAt - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.flow(), early);
        break;
      }
      this.#waiting.shift();
      this.#waitingBytes -= bytes.length;
      if (this.#sink.writable) this.#sinkFull = !this.#sink.write(bytes);
    }
    if (this.#waitingBytes >= MAX_WAITING_BYTES || this.#sinkFull) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
    if (this.#sourceEnded && !blackhole && this.#waiting.length === 0) this.#sink.end();
  }

  /** Drops everything that waits; nothing is sent afterwards. */
  close(): void {
    this.#closed = true;
    this.#waiting.length = 0;
    clearTimeout(this.#timer);
  }

  #wait(bytes: Buffer, dueAt: number): void {
    this.#waiting.push({ bytes, dueAt });
    this.#waitingBytes += bytes.length;
  }
}
