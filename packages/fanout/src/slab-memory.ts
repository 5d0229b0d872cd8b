/** Integers in one slab, a power of two: 1 MiB of memory. No block may need more. */
export const INTEGERS_PER_SLAB = 2 ** 18;
const SLAB_BITS = 18;

/**
 * The most slabs: 8 GiB, far more than the clients of one worker can need. A block's number is kept as an integer of 32
 * bits, which cannot tell twice as many slabs apart.
 */
const MOST_SLABS = 2 ** 13;

/** Ends the list of a slab's free blocks. */
const NONE = -1;

/** Replaces the memory of a slab that was dropped. */
const GIVEN_UP = new Int32Array(0);

/** One piece of memory, cut into blocks of one length. */
interface Slab {
  readonly memory: Int32Array;
  readonly integersPerBlock: number;
  inUse: number;
  /** The offset of the block that was given back last. The block's first integer is the offset of the one before. */
  free: number;
  /** Memory from this offset on was never in use, so the system has most likely not allocated it yet. */
  untouched: number;
  /** Whether no block was in use at the last {@link SlabMemory.trim}, nor since. */
  isIdle: boolean;
}

/**
 * Memory for blocks of integers whose lengths are powers of two. Each slab has blocks of one length. So the blocks of a burst
 * lie together, apart from the short ones that are always needed, and the next collection of the old generation can return
 * their memory to the system. This is a slab allocator (Bonwick, "The Slab Allocator: An Object-Caching Kernel Memory
 * Allocator", USENIX Summer 1994) without the colouring.
 */
export class SlabMemory {
  /** A slab keeps its number until it is dropped, which frees the number for another slab. */
  readonly #slabs: (Slab | undefined)[] = [];
  /** The memory of each slab, which is all that a delivery needs of it. */
  readonly #memory: Int32Array[] = [];
  /** Numbers of the slabs that have a free block, by the binary logarithm of their blocks' length. */
  readonly #withRoom: number[][] = [];
  readonly #mostSlabs: number;

  /** @param mostSlabs how many slabs it may have. */
  constructor(mostSlabs: number = MOST_SLABS) {
    this.#mostSlabs = mostSlabs;
  }

  /** Bytes of all slabs, in use or not. */
  get bytes(): number {
    let integers = 0;
    for (const { length } of this.#memory) integers += length;
    return integers * Int32Array.BYTES_PER_ELEMENT;
  }

  /**
   * Takes a block and returns its number. The caller owns the block until {@link giveBack}. Its contents are undefined at first.
   *
   * @param integers its length, a power of two.
   * @throws {RangeError} if it would be longer than {@link INTEGERS_PER_SLAB}, or if all slabs are in use.
   */
  take(integers: number): number {
    if (integers > INTEGERS_PER_SLAB) throw new RangeError(`a block of ${integers} integers`);
    const withRoom = this.#withRoomFor(integers);
    const number = withRoom.at(-1) ?? this.#addSlab(integers);
    const slab = this.#slabs[number] as Slab;
    slab.inUse += 1;
    slab.isIdle = false;
    let offset = slab.free;
    if (offset !== NONE) {
      slab.free = slab.memory[offset] as number;
    } else {
      offset = slab.untouched;
      slab.untouched += integers;
    }
    if (!hasRoom(slab)) withRoom.pop();
    return number * INTEGERS_PER_SLAB + offset;
  }

  /** Gives back a block. Its owner must not use it any more. */
  giveBack(block: number): void {
    const number = block >>> SLAB_BITS;
    const slab = this.#slabs[number] as Slab;
    if (!hasRoom(slab)) this.#withRoomFor(slab.integersPerBlock).push(number);
    const offset = this.offset(block);
    slab.memory[offset] = slab.free;
    slab.free = offset;
    slab.inUse -= 1;
  }

  /** Drops the slabs of which no block was in use since the last call; the collector frees them. Call it from time to time. */
  trim(): void {
    for (const [number, slab] of this.#slabs.entries()) {
      if (slab === undefined || slab.inUse > 0) continue;
      if (slab.isIdle) this.#dropSlab(number, slab);
      else slab.isIdle = true;
    }
  }

  /** The memory of the slab that a block lies in. The block begins at its {@link offset}. */
  at(block: number): Int32Array {
    return this.#memory[block >>> SLAB_BITS] as Int32Array;
  }

  /** The index at which a block begins in the memory of its slab. */
  offset(block: number): number {
    return block & (INTEGERS_PER_SLAB - 1);
  }

  #addSlab(integers: number): number {
    const hole = this.#slabs.indexOf(undefined);
    const number = hole === -1 ? this.#slabs.length : hole;
    if (number === this.#mostSlabs) throw new RangeError(`all ${number} slabs of memory in use`);
    const memory = new Int32Array(INTEGERS_PER_SLAB);
    this.#slabs[number] = {
      memory,
      integersPerBlock: integers,
      inUse: 0,
      free: NONE,
      untouched: 0,
      isIdle: false,
    };
    this.#memory[number] = memory;
    this.#withRoomFor(integers).push(number);
    return number;
  }

  #dropSlab(number: number, slab: Slab): void {
    const withRoom = this.#withRoomFor(slab.integersPerBlock);
    withRoom.splice(withRoom.indexOf(number), 1);
    // Detaching the memory would free it at once, but V8 would then check every access to any typed array.
    this.#slabs[number] = undefined;
    this.#memory[number] = GIVEN_UP;
  }

  #withRoomFor(integers: number): number[] {
    const size = Math.log2(integers);
    this.#withRoom[size] ??= [];
    return this.#withRoom[size];
  }
}

function hasRoom({ free, untouched }: Slab): boolean {
  return free !== NONE || untouched < INTEGERS_PER_SLAB;
}
