import type { Publication } from './publication.ts';

/**
 * What a publication costs besides its tail, in bytes: three objects and a slot. So a log of tiny
 * publications is bounded as well.
 */
const ENTRY_BYTES = 256;
const LEAST_CAPACITY = 64;

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

  /** Appends a publication and lets go of the oldest ones that it has no more room for. */
  append(publication: Publication): void {
    if (this.#next - this.#oldest === this.#ring.length) this.#grow();
    this.#ring[this.#next & (this.#ring.length - 1)] = publication;
    this.#next += 1;
    this.#bytes += costOf(publication);
    while (this.#bytes > this.#maxBytes) this.#dropOldest();
  }

  /** The publication with this number; undefined if it is not held any more, or not yet. */
  at(number: number): Publication | undefined {
    if (number < this.#oldest || number >= this.#next) return undefined;
    return this.#ring[number & (this.#ring.length - 1)];
  }

  #dropOldest(): void {
    const place = this.#oldest & (this.#ring.length - 1);
    this.#bytes -= costOf(this.#ring[place] as Publication);
    this.#ring[place] = undefined;
    this.#oldest += 1;
  }

  #grow(): void {
    const held = this.#ring;
    const ring = new Array<Publication | undefined>(held.length * 2).fill(undefined);
    for (let n = this.#oldest; n < this.#next; n += 1) {
      ring[n & (ring.length - 1)] = held[n & (held.length - 1)];
    }
    this.#ring = ring;
  }
}

function costOf(publication: Publication): number {
  return publication.tail.length + ENTRY_BYTES;
}
