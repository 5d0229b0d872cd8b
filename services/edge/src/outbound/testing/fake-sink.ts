import type { ByteSink } from '../frame-writer.ts';
import { type DecodedFrame, FrameDecoder } from './frame-decoder.ts';

type Written = (error?: Error | null) => void;

/**
 * A socket that a test controls. While it takes bytes it behaves like a socket whose kernel buffer has room: nothing is left
 * behind, and the callback comes later. Once it stalls, it keeps everything that it is given.
 */
export class FakeSink implements ByteSink {
  /** What was written: the same memory, not a copy. */
  readonly writes: Uint8Array[] = [];
  /** The bytes of each write at the time of the call. */
  readonly copies: Buffer[] = [];
  readonly writable = true;
  stalled = false;
  /** Set for a socket over TLS, which is best stalled too: it finishes no write within the turn. */
  encrypted = false;
  readonly #waiting: { readonly length: number; readonly written: Written }[] = [];

  get writableLength(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  write(bytes: Uint8Array, written: Written = () => {}): boolean {
    if (bytes.length > 0) {
      this.writes.push(bytes);
      this.copies.push(Buffer.from(bytes));
    }
    if (this.stalled) this.#waiting.push({ length: bytes.length, written });
    else process.nextTick(written);
    return !this.stalled;
  }

  /** The peer reads: what was left behind goes out, and the socket takes bytes again. */
  drain(): void {
    this.stalled = false;
    for (const { written } of this.#waiting.splice(0)) written();
  }

  /** The connection breaks: what waits is lost, and the callback of each write gets an error. */
  fail(): void {
    for (const { written } of this.#waiting.splice(0)) written(new Error('ECONNRESET'));
  }

  /** All frames that were written. */
  get frames(): DecodedFrame[] {
    return new FrameDecoder().push(Buffer.concat(this.copies));
  }
}
