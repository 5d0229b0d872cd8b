import type { Socket } from 'node:net';

/** What befalls the bytes of one direction. */
export interface PipeWeather {
  /** Each byte arrives this many ms later; 0 for none. */
  readonly delayMs: number;
  /** Undefined for as fast as they come. */
  readonly bytesPerSecond: number | undefined;
  /** Nothing arrives, not even the end; what is sent waits, as TCP would send it again. */
  readonly blackhole: boolean;
}

/** Bytes that wait in a pipe before its source is read no further: the peer feels it then. */
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

  /** @param weather asked whenever bytes come or could go on. */
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

  /** Sends bytes on, through the weather of now. */
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

  /** The source has ended: so does the sink, once all that was sent before has arrived. */
  end(): void {
    this.#sourceEnded = true;
    this.flow();
  }

  /** Goes on with what may go on now; to be called when the weather has changed. */
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

  /** Forgets what waits; nothing is sent from here on. */
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
