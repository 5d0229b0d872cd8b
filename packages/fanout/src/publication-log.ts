import type { Publication } from './publication.ts';

/**
 * What a publication costs besides its tail, in bytes: three objects and a slot. So a log of tiny
 * publications is bounded as well.
 */
const ENTRY_BYTES = 256;
const LEAST_CAPACITY = 64;

/** Numbers in ascending order, of which the first are given up. */
interface Numbers {
  readonly all: number[];
  /** Where those that are not given up begin in `all`. */
  first: number;
}

/** Numbers given up are removed once there are so many, and as many as are left. */
const COMPACT_AFTER = 1_024;

/**
 * The latest publications of a worker, over all channels, as references: what a slow client was
 * refused is read from here once its socket drains, instead of being copied for it. Bounded in
 * bytes: the oldest make room for the newest. Publications are numbered from 0, in the order in which
 * they were appended.
 */
export class PublicationLog {
  readonly #maxBytes: number;
  /** A ring whose length is a power of two; publication n is at n masked. */
  #ring: (Publication | undefined)[] = new Array(LEAST_CAPACITY).fill(undefined);
  /** Under which key each of them stands. */
  #keys: string[] = new Array(LEAST_CAPACITY).fill('');
  /** The numbers of the publications that it holds under each key. */
  readonly #numbers = new Map<string, Numbers>();
  #oldest = 0;
  #next = 0;
  #bytes = 0;

  /** @param maxBytes what it may hold, tails and bookkeeping together; 0 for a log that keeps nothing. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The number of the oldest publication that it holds; equals {@link next} when it holds none. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The number that the next publication will have. */
  get next(): number {
    return this.#next;
  }

  /** Bytes that it holds, bookkeeping included; never more than its limit. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most bytes that it may hold. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /**
   * Appends a publication and lets go of the oldest ones that it has no more room for.
   *
   * @param key what it is looked up by: its channel, unless it is there a second time, for a replay.
   */
  append(publication: Publication, key = publication.channel): void {
    if (this.#next - this.#oldest === this.#ring.length) this.#grow();
    const place = this.#next & (this.#ring.length - 1);
    this.#ring[place] = publication;
    this.#keys[place] = key;
    this.#numbersOf(key).all.push(this.#next);
    this.#next += 1;
    this.#bytes += this.costOf(publication);
    while (this.#bytes > this.#maxBytes) this.#dropOldest();
  }

  /** The publication with this number; undefined if it is not held any more, or not yet. */
  at(number: number): Publication | undefined {
    if (number < this.#oldest || number >= this.#next) return undefined;
    return this.#ring[number & (this.#ring.length - 1)];
  }

  /** The key under which the publication with this number stands. Only meaningful while it is held. */
  keyAt(number: number): string {
    return this.#keys[number & (this.#keys.length - 1)] as string;
  }

  /** How many publications it holds under a key whose numbers are at least `from` and less than `until`. */
  count(key: string, from: number, until: number): number {
    const numbers = this.#numbers.get(key);
    if (numbers === undefined) return 0;
    return placeOf(numbers, until) - placeOf(numbers, from);
  }

  /** The least number under a key that is at least `from`; undefined if it holds none. */
  first(key: string, from: number): number | undefined {
    const numbers = this.#numbers.get(key);
    return numbers?.all[placeOf(numbers, from)];
  }

  /** The number of the latest publication under a key, or of the one so many before it; undefined if it holds none. */
  fromEnd(key: string, before: number): number | undefined {
    const numbers = this.#numbers.get(key);
    if (numbers === undefined) return undefined;
    const place = numbers.all.length - 1 - before;
    return place < numbers.first ? undefined : numbers.all[place];
  }

  /** What a publication takes up in it, in bytes. */
  costOf({ tail }: Publication): number {
    return tail.length + ENTRY_BYTES;
  }

  #numbersOf(key: string): Numbers {
    let numbers = this.#numbers.get(key);
    if (numbers === undefined) {
      numbers = { all: [], first: 0 };
      this.#numbers.set(key, numbers);
    }
    return numbers;
  }

  #dropOldest(): void {
    const place = this.#oldest & (this.#ring.length - 1);
    const publication = this.#ring[place] as Publication;
    this.#bytes -= this.costOf(publication);
    this.#ring[place] = undefined;
    this.#oldest += 1;
    this.#dropNumber(this.#keys[place] as string);
  }

  #dropNumber(key: string): void {
    const numbers = this.#numbers.get(key) as Numbers;
    numbers.first += 1;
    if (numbers.first === numbers.all.length) {
      this.#numbers.delete(key);
    } else if (numbers.first >= COMPACT_AFTER && numbers.first * 2 >= numbers.all.length) {
      numbers.all.splice(0, numbers.first);
      numbers.first = 0;
    }
  }

  #grow(): void {
    const held = this.#ring;
    const heldKeys = this.#keys;
    const ring = new Array<Publication | undefined>(held.length * 2).fill(undefined);
    const keys = new Array<string>(held.length * 2).fill('');
    for (let n = this.#oldest; n < this.#next; n += 1) {
      ring[n & (ring.length - 1)] = held[n & (held.length - 1)];
      keys[n & (ring.length - 1)] = heldKeys[n & (held.length - 1)] as string;
    }
    this.#ring = ring;
    this.#keys = keys;
  }
}

/** The place of the first number that is at least this one. */
function placeOf({ all, first }: Numbers, number: number): number {
  let low = first;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((all[middle] as number) < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
