/** Integers in one piece of memory, a power of two: 1 MiB. No ring may need more. */
export const INTEGERS_PER_PIECE = 2 ** 18;
const PIECE_BITS = 18;

/**
 * Pieces that there may be: 8 GiB, far more than clients of one worker can need. A ring's number, kept as an integer of
 * 32 bits, could not tell the pieces above twice as many apart.
 */
const MOST_PIECES = 2 ** 13;

/** The end of a piece's free rings. */
const NONE = -1;

/** What stands for a piece that was given up. */
const GIVEN_UP = new Int32Array(0);

/** One piece of memory, cut into rings of one length. */
interface Piece {
  readonly memory: Int32Array;
  readonly integersPerRing: number;
  inUse: number;
  /** Where the ring begins that was given back last, whose first integer says the same of the one before. */
  free: number;
  /** From here on it was never in use, and the system has most likely not had to provide that memory yet. */
  untouched: number;
  /** Whether none of it was in use at the last {@link RingMemory.trim}, nor since. */
  isIdle: boolean;
}

/**
 * Memory for rings of integers whose lengths are powers of two, in pieces of which each has rings of one
 * length. So those that a burst needed lie among their like, not among the short ones that are always needed,
 * and when they have been given back, their memory goes back to the system at the next collection of the old
 * generation. It is a slab allocator (Bonwick, "The Slab Allocator: An Object-Caching Kernel Memory Allocator",
 * USENIX Summer 1994) without the colouring.
 */
export class RingMemory {
  /** A piece keeps its number until it is given up, which leaves a hole for the next. */
  readonly #pieces: (Piece | undefined)[] = [];
  /** The memory of each, which is all that a delivery needs of it. */
  readonly #memory: Int32Array[] = [];
  /** Numbers of the pieces in which a ring is free, by the binary logarithm of their rings' length. */
  readonly #withRoom: number[][] = [];
  readonly #mostPieces: number;

  /** @param mostPieces that there may be. */
  constructor(mostPieces: number = MOST_PIECES) {
    this.#mostPieces = mostPieces;
  }

  /** Bytes that it has, in use or not. */
  get bytes(): number {
    let integers = 0;
    for (const { length } of this.#memory) integers += length;
    return integers * Int32Array.BYTES_PER_ELEMENT;
  }

  /**
   * Takes a ring of so many integers, a power of two, of any contents.
   *
   * @throws {RangeError} when that is more than {@link INTEGERS_PER_PIECE}, or when there are as many pieces as may be.
   */
  take(integers: number): number {
    if (integers > INTEGERS_PER_PIECE) throw new RangeError(`a ring of ${integers} integers`);
    const withRoom = this.#withRoomFor(integers);
    const number = withRoom.at(-1) ?? this.#begin(integers);
    const piece = this.#pieces[number] as Piece;
    piece.inUse += 1;
    piece.isIdle = false;
    let offset = piece.free;
    if (offset !== NONE) {
      piece.free = piece.memory[offset] as number;
    } else {
      offset = piece.untouched;
      piece.untouched += integers;
    }
    if (!hasRoom(piece)) withRoom.pop();
    return number * INTEGERS_PER_PIECE + offset;
  }

  /** Gives back a ring, whose owner must not use it any more. */
  giveBack(ring: number): void {
    const number = ring >>> PIECE_BITS;
    const piece = this.#pieces[number] as Piece;
    if (!hasRoom(piece)) this.#withRoomFor(piece.integersPerRing).push(number);
    const offset = this.offset(ring);
    piece.memory[offset] = piece.free;
    piece.free = offset;
    piece.inUse -= 1;
  }

  /**
   * Gives up the pieces of which nothing was in use since the last call; the collector frees them. To be called from
   * time to time.
   */
  trim(): void {
    for (const [number, piece] of this.#pieces.entries()) {
      if (piece === undefined || piece.inUse > 0) continue;
      if (piece.isIdle) this.#end(number, piece);
      else piece.isIdle = true;
    }
  }

  /** The piece that a ring lies in, from {@link offset} on. */
  at(ring: number): Int32Array {
    return this.#memory[ring >>> PIECE_BITS] as Int32Array;
  }

  /** Where in its piece a ring begins. */
  offset(ring: number): number {
    return ring & (INTEGERS_PER_PIECE - 1);
  }

  #begin(integers: number): number {
    const hole = this.#pieces.indexOf(undefined);
    const number = hole === -1 ? this.#pieces.length : hole;
    if (number === this.#mostPieces)
      throw new RangeError(`all ${number} pieces of ring memory in use`);
    const memory = new Int32Array(INTEGERS_PER_PIECE);
    this.#pieces[number] = {
      memory,
      integersPerRing: integers,
      inUse: 0,
      free: NONE,
      untouched: 0,
      isIdle: false,
    };
    this.#memory[number] = memory;
    this.#withRoomFor(integers).push(number);
    return number;
  }

  #end(number: number, piece: Piece): void {
    const withRoom = this.#withRoomFor(piece.integersPerRing);
    withRoom.splice(withRoom.indexOf(number), 1);
    // Not detached, which would free it at once: from then on V8 looks at every access to any typed array whether it is.
    this.#pieces[number] = undefined;
    this.#memory[number] = GIVEN_UP;
  }

  #withRoomFor(integers: number): number[] {
    const size = Math.log2(integers);
    this.#withRoom[size] ??= [];
    return this.#withRoom[size];
  }
}

function hasRoom({ free, untouched }: Piece): boolean {
  return free !== NONE || untouched < INTEGERS_PER_PIECE;
}
