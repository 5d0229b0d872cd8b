import { CONTROL, type EntryTaker, type Outbox } from '@tradewind/fanout';
import {
  createFrameMemory,
  encodeDigits,
  encodeFrame,
  FRAME_OVERHEAD_BYTES,
  type FrameMemory,
} from './json-frames.ts';

/** More than this, twice, does not stay in a core's first cache until it is copied. */
const AHEAD_BYTES = 8 * 1024;

/**
 * Memory in which the frames of one write are put together, for one client after the other. It
 * remembers what it holds: subscribers of the same channels wait for the same publications, and
 * then the next client's write differs from the last one's in nothing but its numbers. Copying 500
 * bytes a frame again would cost more than all else that is done for it in JavaScript.
 */
export class FrameBuffer implements EntryTaker {
  readonly #bytes: number;
  #memory: FrameMemory;
  /** What lies in the memory, frame by frame: what was encoded, as which number, up to where. */
  readonly #contents: Uint8Array[] = [];
  readonly #sequences: number[] = [];
  readonly #numberEnds: number[] = [];
  readonly #ends: number[] = [];
  #held = 0;
  /** What the last write began with. */
  #first: Uint8Array | undefined;
  /** Whether this one began with the same. Others are not remembered, since their like may never come. */
  #isRemembered = false;
  /** Of the write that is being put together: its frames and bytes so far. */
  #count = 0;
  #end = 0;
  /** Whether the memory held all of its frames already. */
  #isHeld = true;
  /** A power of ten above the last number: numbers only grow within a write. */
  #bound = 10;

  /** @param bytes its size; it grows for a frame that alone is larger. */
  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#memory = createFrameMemory(bytes);
  }

  /** The memory; what it holds is valid until the next {@link fill}, which may replace it too. */
  get bytes(): Uint8Array {
    return this.#memory.bytes;
  }

  /**
   * Moves entries from the outbox into the memory as long as their frames fit, and at least one.
   * Returns how many bytes of {@link bytes} they take, from the first on.
   */
  fill(outbox: Outbox): number {
    const first = outbox.peek();
    this.#isRemembered = first === this.#first;
    this.#first = first;
    if (!this.#isRemembered) this.#held = 0;
    this.#count = 0;
    this.#end = 0;
    this.#isHeld = true;
    this.#bound = 10;
    outbox.drainInto(this, this.#isRemembered ? 0 : AHEAD_BYTES);
    // What is not in the memory any more is not to be kept alive.
    if (this.#contents.length > this.#held) this.#contents.length = this.#held;
    return this.#end;
  }

  /** Part of {@link fill}: puts one more frame into the memory, if it fits. */
  take(content: Uint8Array, sequence: number): boolean {
    const i = this.#count;
    while (sequence >= this.#bound) this.#bound *= 10;
    if (
      this.#isHeld &&
      i < this.#held &&
      this.#contents[i] === content &&
      this.#isAsLong(i, sequence, this.#bound)
    ) {
      if (this.#sequences[i] !== sequence) this.#renumber(i, sequence);
      this.#end = this.#ends[i] as number;
    } else {
      const most = this.#end + content.length + FRAME_OVERHEAD_BYTES;
      if (i === 0) this.#makeRoom(most);
      else if (most > this.#bytes) return false;
      this.#isHeld = false;
      this.#end = this.#encode(i, this.#end, sequence, content);
    }
    this.#count = i + 1;
    return true;
  }

  /** A frame that is too large gets memory of its own size, and the one after it the usual again. */
  #makeRoom(bytes: number): void {
    const size = Math.max(this.#bytes, bytes);
    if (this.#memory.bytes.length !== size) this.#memory = createFrameMemory(size);
  }

  /** Whether frame i, if it got this number, would take as many bytes. */
  #isAsLong(i: number, sequence: number, bound: number): boolean {
    const held = this.#sequences[i] as number;
    if (held === CONTROL || sequence === CONTROL) return held === sequence;
    return held < bound && held >= bound / 10;
  }

  #renumber(i: number, sequence: number): void {
    encodeDigits(this.#memory.view, this.#numberEnds[i] as number, sequence);
    this.#sequences[i] = sequence;
  }

  /** Frames behind this one are of no use any more: they start elsewhere, or are overwritten. */
  #encode(i: number, start: number, sequence: number, content: Uint8Array): number {
    const end = encodeFrame(this.#memory, start, sequence, content);
    if (!this.#isRemembered) return end;
    this.#held = i + 1;
    this.#contents[i] = content;
    this.#sequences[i] = sequence;
    this.#numberEnds[i] = end - content.length;
    this.#ends[i] = end;
    return end;
  }
}
