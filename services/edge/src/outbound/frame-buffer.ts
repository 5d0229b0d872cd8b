import { CONTROL, type EntryTaker, type Outbox } from '@tradewind/fanout';
import {
  createFrameMemory,
  type FrameMemory,
  type SequenceRange,
  type WireFormat,
} from './wire-format.ts';

/** How many bytes are prefetched before they are copied. Twice as many do not stay in a core's first-level cache until then. */
const AHEAD_BYTES = 8 * 1024;

/**
 * Memory in which the frames of one write are assembled, for one client of a format after the other. It remembers what it
 * holds: subscribers of the same channels wait for the same publications, so the next client's write often differs from the
 * last one's only in its numbers. Copying 500 bytes a frame again would cost more than everything else that JavaScript does
 * for a frame.
 */
export class FrameBuffer implements EntryTaker {
  readonly #size: number;
  readonly #overheadBytes: number;
  // Kept as functions, so that each call site has one target for the buffers of one format.
  readonly #encodeFrame: WireFormat['encodeFrame'];
  readonly #renumberFrame: WireFormat['renumber'];
  readonly #sequencesOfWidth: WireFormat['sequencesOfWidth'];
  #memory: FrameMemory;
  /** The frames in the memory: the content of each, its number, where the content begins and where the frame ends. */
  readonly #contents: Uint8Array[] = [];
  readonly #sequences: number[] = [];
  readonly #contentStarts: number[] = [];
  readonly #ends: number[] = [];
  #held = 0;
  /** The content that the last write began with. */
  #first: Uint8Array | undefined;
  /** Whether this write begins with the same content. Only then are frames remembered, because otherwise the next write may have none of them. */
  #isRemembered = false;
  /** The number of frames and bytes so far of the write that is being assembled. */
  #count = 0;
  #end = 0;
  /** Whether the memory held all of these frames already. */
  #isHeld = true;
  /** The sequence numbers that are as wide as the last one that was compared. */
  #range: SequenceRange;

  /** @param size of its memory, in bytes. A larger frame gets memory of its own. */
  constructor(size: number, format: WireFormat) {
    this.#size = size;
    this.#overheadBytes = format.overheadBytes;
    this.#encodeFrame = format.encodeFrame;
    this.#renumberFrame = format.renumber;
    this.#sequencesOfWidth = format.sequencesOfWidth;
    this.#range = format.sequencesOfWidth(1);
    this.#memory = createFrameMemory(size);
  }

  /** The memory. What it holds is valid until the next {@link fill}, which may replace the memory too. */
  get bytes(): Uint8Array {
    return this.#memory.bytes;
  }

  /**
   * Moves entries from the outbox into the memory as long as their frames fit, and at least one.
   * Returns how many bytes they take, from the first of {@link bytes} on.
   */
  fill(outbox: Outbox): number {
    const first = outbox.peek();
    this.#isRemembered = first === this.#first;
    this.#first = first;
    if (!this.#isRemembered) this.#held = 0;
    this.#count = 0;
    this.#end = 0;
    this.#isHeld = true;
    outbox.drainInto(this, this.#isRemembered ? 0 : AHEAD_BYTES);
    // Contents that are no longer in the memory must not be kept alive.
    if (this.#contents.length > this.#held) this.#contents.length = this.#held;
    return this.#end;
  }

  /** Part of {@link fill}: appends one more frame, if it fits. */
  take(content: Uint8Array, sequence: number): boolean {
    const i = this.#count;
    if (
      this.#isHeld &&
      i < this.#held &&
      this.#contents[i] === content &&
      this.#isAsLong(i, sequence)
    ) {
      if (this.#sequences[i] !== sequence) this.#renumber(i, sequence);
      this.#end = this.#ends[i] as number;
    } else {
      const most = this.#end + content.length + this.#overheadBytes;
      if (i === 0) this.#makeRoom(most);
      else if (most > this.#size) return false;
      this.#isHeld = false;
      this.#end = this.#encode(i, this.#end, sequence, content);
    }
    this.#count = i + 1;
    return true;
  }

  /** A frame that is too large gets memory of its own size, and the frame after it the usual size again. */
  #makeRoom(bytes: number): void {
    const size = Math.max(this.#size, bytes);
    if (this.#memory.bytes.length !== size) this.#memory = createFrameMemory(size);
  }

  /** Whether frame i would take as many bytes with this number. */
  #isAsLong(i: number, sequence: number): boolean {
    const held = this.#sequences[i] as number;
    if (held === sequence) return true;
    if (held === CONTROL || sequence === CONTROL) return false;
    if (sequence < this.#range.from || sequence >= this.#range.end) {
      this.#range = this.#sequencesOfWidth(sequence);
    }
    return held >= this.#range.from && held < this.#range.end;
  }

  #renumber(i: number, sequence: number): void {
    this.#renumberFrame(this.#memory, this.#contentStarts[i] as number, sequence);
    this.#sequences[i] = sequence;
  }

  /** Encodes a frame, and forgets the remembered frames after it, which begin elsewhere or are overwritten. */
  #encode(i: number, start: number, sequence: number, content: Uint8Array): number {
    const end = this.#encodeFrame(this.#memory, start, sequence, content);
    if (!this.#isRemembered) return end;
    this.#held = i + 1;
    this.#contents[i] = content;
    this.#sequences[i] = sequence;
    this.#contentStarts[i] = end - content.length;
    this.#ends[i] = end;
    return end;
  }
}
