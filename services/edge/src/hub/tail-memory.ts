/**
 * Memory that is allocated at once, for several tails. An allocation for each leaves them far apart, where
 * every client that is sent one waits for memory, and makes the collector keep account of each. But a
 * tail that a stalled client still waits for keeps all of its block: at most this times the slots of
 * its queue, and no block is older than the longest lag.
 */
const BLOCK_BYTES = 16 * 1024;

/** A larger tail gets memory of its own. */
const LARGEST_SHARE_BYTES = BLOCK_BYTES / 4;

/** Gives out memory for publications' tails, one behind the other. Whoever holds a part owns it alone. */
export class TailMemory {
  #block = new ArrayBuffer(BLOCK_BYTES);
  #used = 0;

  /** A part that nobody else has, filled with zeros. A method that may be passed on without its object. */
  readonly take = (bytes: number): Uint8Array<ArrayBuffer> => {
    if (bytes > LARGEST_SHARE_BYTES) return new Uint8Array(bytes);
    if (this.#used + bytes > BLOCK_BYTES) {
      this.#block = new ArrayBuffer(BLOCK_BYTES);
      this.#used = 0;
    }
    const part = new Uint8Array(this.#block, this.#used, bytes);
    this.#used += bytes;
    return part;
  };
}
