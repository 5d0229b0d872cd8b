import type { Publication } from './publication.ts';

/**
 * What a publication costs besides its body, in bytes: three objects and a slot. So a log of tiny
 * publications is bounded as well.
 */
const ENTRY_BYTES = 256;

/** What the place of one that was let go of costs at least: a slot of a ring that may be half empty. */
const LEAST_HOLE_BYTES = 16;

/** Places that a log of any size has, at most: as many as 1 GiB of publications. A longer ring takes long to grow. */
const MOST_ENTRIES = 4_194_304;
const LEAST_CAPACITY = 64;

/** Publications that one {@link PublicationLog.trim} lets go of, at most: less than 1 ms of work for the worker's thread. */
const MOST_TRIMMED = 4_096;

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
 *
 * One without an offset can only be asked for by clients that were refused it or one before it. While there
 * are none, it is let go of as soon as the next one comes: kept for nothing, twenty thousand a second would grow
 * old in V8's heap, and every collection of that stops the worker for tens of ms.
 */
export class PublicationLog {
  readonly #maxBytes: number;
  readonly #holeBytes: number;
  /** A ring whose length is a power of two; publication n is at n masked. */
  #entries: (Publication | undefined)[] = new Array(LEAST_CAPACITY).fill(undefined);
  /** The numbers of the publications that it holds of each channel, but for one that is passing. */
  readonly #numbers = new Map<string, Numbers>();
  #oldest = 0;
  #next = 0;
  #bytes = 0;
  #followers = 0;
  /** Whether the latest publication is to be let go of when the next one comes, unless someone follows by then. */
  #isPassing = false;

  /** @param maxBytes what it may hold, bodies and bookkeeping together; 0 for a log that keeps nothing. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#holeBytes = Math.max(LEAST_HOLE_BYTES, Math.ceil(maxBytes / MOST_ENTRIES));
  }

  /** It holds no publication with a lower number than this; equals {@link next} when it holds none. */
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

  /** Someone may ask for the latest publication, and for all that come, until {@link unfollow}. */
  follow(): void {
    this.#followers += 1;
    if (!this.#isPassing) return;
    this.#isPassing = false;
    const latest = this.at(this.#next - 1);
    if (latest !== undefined) this.#numbersOf(latest.channel).all.push(this.#next - 1);
  }

  /** Ends one {@link follow}. */
  unfollow(): void {
    this.#followers -= 1;
  }

  /** Appends a publication and lets go of the oldest ones that it has no more room for. */
  append(publication: Publication): void {
    if (this.#isPassing) this.#letPass();
    if (this.#next - this.#oldest === this.#entries.length) this.#grow();
    this.#entries[this.#next & (this.#entries.length - 1)] = publication;
    this.#isPassing = this.#followers === 0 && publication.offset === 0;
    if (!this.#isPassing) this.#numbersOf(publication.channel).all.push(this.#next);
    this.#next += 1;
    this.#bytes += costOf(publication);
    while (this.#bytes > this.#maxBytes) this.#dropOldest();
  }

  /** The publication with this number; undefined if it is not held any more, or not yet. */
  at(number: number): Publication | undefined {
    if (number < this.#oldest || number >= this.#next) return undefined;
    return this.#entries[number & (this.#entries.length - 1)];
  }

  /**
   * How many publications of a channel it holds whose numbers are at least `from` and less than `until`. This,
   * {@link first} and {@link fromEnd} know the latest one without an offset only while someone follows.
   */
  count(channel: string, from: number, until: number): number {
    const numbers = this.#numbers.get(channel);
    if (numbers === undefined) return 0;
    return indexOf(numbers, until) - indexOf(numbers, from);
  }

  /** The least number of a channel's publications that is at least `from`; undefined if it holds none. */
  first(channel: string, from: number): number | undefined {
    const numbers = this.#numbers.get(channel);
    return numbers?.all[indexOf(numbers, from)];
  }

  /**
   * The number of a channel's latest publication, or of the one so many before it; undefined if it does not
   * hold so many.
   */
  fromEnd(channel: string, before: number): number | undefined {
    const numbers = this.#numbers.get(channel);
    if (numbers === undefined) return undefined;
    const index = numbers.all.length - 1 - before;
    return index < numbers.first ? undefined : numbers.all[index];
  }

  /**
   * Lets go of old publications without an offset that were kept for clients that no longer ask for any: some of
   * them, up to the first with an offset. To be called from time to time.
   */
  trim(): void {
    if (this.#followers > 0) return;
    const latest = this.#next - 1;
    const end = Math.min(latest, this.#oldest + MOST_TRIMMED);
    while (this.#oldest < end) {
      const oldest = this.at(this.#oldest);
      if (oldest !== undefined && oldest.offset > 0) return;
      this.#dropOldest();
    }
  }

  #numbersOf(channel: string): Numbers {
    let numbers = this.#numbers.get(channel);
    if (numbers === undefined) {
      numbers = { all: [], first: 0 };
      this.#numbers.set(channel, numbers);
    }
    return numbers;
  }

  /** The latest publication becomes a hole, unless the log is empty but for it. */
  #letPass(): void {
    const index = (this.#next - 1) & (this.#entries.length - 1);
    const publication = this.#entries[index];
    if (publication === undefined) return;
    this.#entries[index] = undefined;
    this.#bytes -= costOf(publication);
    if (this.#oldest === this.#next - 1) this.#oldest = this.#next;
    else this.#bytes += this.#holeBytes;
  }

  #dropOldest(): void {
    const index = this.#oldest & (this.#entries.length - 1);
    const publication = this.#entries[index];
    this.#entries[index] = undefined;
    this.#oldest += 1;
    this.#bytes -= publication === undefined ? this.#holeBytes : costOf(publication);
    const isNumbered = !(this.#isPassing && this.#oldest === this.#next);
    if (publication !== undefined && isNumbered) this.#dropNumber(publication.channel);
  }

  #dropNumber(channel: string): void {
    const numbers = this.#numbers.get(channel) as Numbers;
    numbers.first += 1;
    if (numbers.first === numbers.all.length) {
      this.#numbers.delete(channel);
    } else if (numbers.first >= COMPACT_AFTER && numbers.first * 2 >= numbers.all.length) {
      numbers.all.splice(0, numbers.first);
      numbers.first = 0;
    }
  }

  #grow(): void {
    const held = this.#entries;
    const ring = new Array<Publication | undefined>(held.length * 2).fill(undefined);
    for (let n = this.#oldest; n < this.#next; n += 1) {
      ring[n & (ring.length - 1)] = held[n & (held.length - 1)];
    }
    this.#entries = ring;
  }
}

/** What a publication takes up where it is kept, in bytes. */
export function costOf({ body }: Publication): number {
  return body.length + ENTRY_BYTES;
}

/** The index of the first number that is at least this one. */
function indexOf({ all, first }: Numbers, number: number): number {
  let low = first;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((all[middle] as number) < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
