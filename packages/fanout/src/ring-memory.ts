/** Integers in one piece of memory, a power of two: 1 MiB. No ring may need more. */
const INTEGERS_PER_PIECE = 2 ** 18;
const PIECE_BITS = 18;

/**
 * Memory for rings of integers whose lengths are powers of two. What is given back serves rings of the
 * same length; it is kept for them and never returned, so there is as much as was needed at the most.
 */
export class RingMemory {
  readonly #least: number;
  readonly #pieces: Int32Array[] = [];
  /** Rings that were given back, by the binary logarithm of their length. */
  readonly #free: number[][] = [];
  /** Where the last piece is not in use yet. */
  #used = INTEGERS_PER_PIECE;

  /** @param least the length of the shortest ring, a power of two. */
  constructor(least: number) {
    this.#least = least;
  }

  /** Bytes that it has, in use or not. */
  get bytes(): number {
    return this.#pieces.length * INTEGERS_PER_PIECE * Int32Array.BYTES_PER_ELEMENT;
  }

  /**
   * Takes a ring of so many integers, a power of two, of any contents.
   *
   * @throws {RangeError} when that is more than {@link INTEGERS_PER_PIECE}.
   */
  take(integers: number): number {
    if (integers > INTEGERS_PER_PIECE) throw new RangeError(`a ring of ${integers} integers`);
    const free = this.#free[Math.log2(integers)]?.pop();
    if (free !== undefined) return free;
    // Of what is left of a piece, the largest rings that fit are kept for later.
    while (this.#used + integers > INTEGERS_PER_PIECE) this.#keepRest();
    const ring = (this.#pieces.length - 1) * INTEGERS_PER_PIECE + this.#used;
    this.#used += integers;
    return ring;
  }

  /** Gives a ring back, whose owner must not use it any more. */
  giveBack(ring: number, integers: number): void {
    const size = Math.log2(integers);
    this.#free[size] ??= [];
    this.#free[size].push(ring);
  }

  /** The piece that a ring lies in, from {@link offset} on. */
  at(ring: number): Int32Array {
    return this.#pieces[ring >>> PIECE_BITS] as Int32Array;
  }

  /** Where in its piece a ring begins. */
  offset(ring: number): number {
    return ring & (INTEGERS_PER_PIECE - 1);
  }

  #keepRest(): void {
    const left = INTEGERS_PER_PIECE - this.#used;
    if (left < this.#least) {
      this.#pieces.push(new Int32Array(INTEGERS_PER_PIECE));
      this.#used = 0;
      return;
    }
    const integers = 2 ** Math.floor(Math.log2(left));
    this.giveBack((this.#pieces.length - 1) * INTEGERS_PER_PIECE + this.#used, integers);
    this.#used += integers;
  }
}
