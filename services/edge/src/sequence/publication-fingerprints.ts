import { crc32 } from 'node:zlib';
import type { HistoryEntry } from './message.ts';

/**
 * The number of publications of one channel that are remembered, a power of two: 1 KiB a channel. As a rule a failover
 * loses fewer of one channel, since Redis' replicas are some ms behind.
 */
const REMEMBERED = 256;

/** The number that a channel begins with; most channels never have more. */
const REMEMBERED_AT_FIRST = 16;

/**
 * The last publications of a channel, by their offsets, as 32 bits each. They tell whether Redis holds the same
 * publication under an offset, or another one.
 */
export class PublicationFingerprints {
  #prints = new Uint32Array(REMEMBERED_AT_FIRST);
  /** The last offset that is remembered, and the number of those up to it, without a hole. */
  #last = 0;
  #count = 0;

  /** Remembers a publication. An offset that does not follow the last one forgets all before it. */
  remember(publication: HistoryEntry): void {
    const { offset } = publication;
    if (offset !== this.#last + 1) this.#count = 0;
    if (this.#count === this.#prints.length && this.#count < REMEMBERED) this.#grow();
    this.#last = offset;
    this.#count = Math.min(this.#count + 1, this.#prints.length);
    this.#prints[offset % this.#prints.length] = fingerprint(publication);
  }

  clear(): void {
    this.#count = 0;
  }

  /** Whether this very publication is remembered under its offset; undefined if none is. */
  has(publication: HistoryEntry): boolean | undefined {
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

/** Spreads the bits of a time over 32. It is the golden ratio's, so that times that are close differ in many bits. */
const SPREAD = 0x9e3779b1;

/**
 * The time is part of it, so that the same payload again is another publication. The checksum does not begin with the
 * time: there a difference of the time would undo one of the first bytes.
 */
function fingerprint({ publishedAt, payload }: HistoryEntry): number {
  return (crc32(payload) ^ Math.imul(publishedAt % 2 ** 32, SPREAD)) >>> 0;
}
