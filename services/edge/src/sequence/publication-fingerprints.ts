import { crc32 } from 'node:zlib';

/** As much of a publication as tells it from every other one under the same offset. */
export interface Fingerprinted {
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly publishedAt: number;
  readonly payload: Buffer;
}

/**
 * Publications of one channel that are remembered, a power of two: 1 KiB a channel. More than a failover
 * loses of one channel as a rule, since Redis' replicas are some ms behind.
 */
const REMEMBERED = 256;

/** What a channel begins with; most never have more. */
const REMEMBERED_AT_FIRST = 16;

/**
 * Which publications of a channel were passed on last, by their offsets, as 32 bits each: so that what
 * Redis holds under the same offsets can be told to be the same, or not.
 */
export class PublicationFingerprints {
  #prints = new Uint32Array(REMEMBERED_AT_FIRST);
  /** The last offset that is remembered, and how many before it are, without a hole. */
  #last = 0;
  #count = 0;

  /** Remembers a publication. Passing over offsets forgets all that came before. */
  remember(publication: Fingerprinted): void {
    const { offset } = publication;
    if (offset !== this.#last + 1) this.#count = 0;
    if (this.#count === this.#prints.length && this.#count < REMEMBERED) this.#grow();
    this.#last = offset;
    this.#count = Math.min(this.#count + 1, this.#prints.length);
    this.#prints[offset % this.#prints.length] = fingerprint(publication);
  }

  forget(): void {
    this.#count = 0;
  }

  /** Whether this very publication is remembered under its offset; undefined if nothing is. */
  has(publication: Fingerprinted): boolean | undefined {
    const { offset } = publication;
    if (offset > this.#last || offset <= this.#last - this.#count) return undefined;
    return this.#prints[offset % this.#prints.length] === fingerprint(publication);
  }

  #grow(): void {
    const grown = new Uint32Array(2 * this.#prints.length);
    for (let offset = this.#last - this.#count + 1; offset <= this.#last; offset += 1) {
      grown[offset % grown.length] = this.#prints[offset % this.#prints.length]!;
    }
    this.#prints = grown;
  }
}

/** Spreads the bits of a time over 32: the golden ratio's, so that times that are close differ in many. */
const SPREAD = 0x9e3779b1;

/**
 * With the time, so that the same payload again is another publication. It is not what the checksum begins
 * with: there a difference of the time would undo one of the first bytes.
 */
function fingerprint({ publishedAt, payload }: Fingerprinted): number {
  return (crc32(payload) ^ Math.imul(publishedAt % 2 ** 32, SPREAD)) >>> 0;
}
