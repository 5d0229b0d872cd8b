import type { Publication } from './publication.ts';

/** What a publication costs besides its body, in bytes: three objects and a slot. So tiny publications are bounded too. */
const ENTRY_BYTES = 256;

/** The least that the slot of a dropped publication counts, in bytes: the array of slots may be half empty. */
const LEAST_HOLE_BYTES = 16;

/** The most slots of a log of any size: enough for 1 GiB of publications. A longer array would take long to grow. */
const MOST_SLOTS = 4_194_304;
const LEAST_CAPACITY = 64;

/** The most publications that one {@link PublicationLog.trim} drops: less than 1 ms of work for the worker's thread. */
const MOST_TRIMMED = 4_096;

/** Numbers in ascending order, the first of which are no longer valid. */
interface Numbers {
  readonly all: number[];
  /** The index of the first valid number in `all`. */
  first: number;
}

/** Invalid numbers are removed once there are this many, and at least as many as valid ones. */
const COMPACT_AFTER = 1_024;

/**
 * The latest publications of a worker over all channels, as references. Once the socket of a slow client drains, the client is
 * sent from here what its queue refused, so nothing is copied for it. The log is bounded in bytes: the oldest publications make
 * room for the newest. Publications are numbered from 0, in the order in which they were appended.
 *
 * Only a client that is behind needs a publication without an offset. While no client is, the log drops such a publication
 * as soon as the next one comes. Otherwise 20,000 of them a second would reach V8's old generation for nothing, and every
 * collection of that generation stops the worker for tens of ms.
 */
export class PublicationLog {
  readonly #maxBytes: number;
  readonly #holeBytes: number;
  /** A ring buffer whose length is a power of two. Publication n is at the index `n & (length - 1)`. */
  #entries: (Publication | undefined)[] = new Array(LEAST_CAPACITY).fill(undefined);
  /** The numbers of the publications that it holds of each channel, except that of one that is passing. */
  readonly #numbers = new Map<string, Numbers>();
  #oldest = 0;
  #next = 0;
  #bytes = 0;
  #followers = 0;
  /** Whether the next publication drops the latest one, unless someone follows the log by then. */
  #isPassing = false;

  /** @param maxBytes what it may hold, bodies and bookkeeping together. A log of 0 bytes keeps nothing. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#holeBytes = Math.max(LEAST_HOLE_BYTES, Math.ceil(maxBytes / MOST_SLOTS));
  }

  /** The number of the oldest publication that it holds, or {@link next} if it holds none. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The number that the next publication will have. */
  get next(): number {
    return this.#next;
  }

  /** How many bytes it holds, bookkeeping included; never more than its limit. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most bytes that it may hold. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Keeps the latest publication and all that follow, as far as they fit, for one more reader until {@link unfollow}. */
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

  /** Appends a publication, and drops the oldest ones that it has no more room for. */
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

  /** The publication with this number; undefined if the log holds it no longer, or not yet. */
  at(number: number): Publication | undefined {
    if (number < this.#oldest || number >= this.#next) return undefined;
    return this.#entries[number & (this.#entries.length - 1)];
  }

  /**
   * How many publications of a channel it holds whose numbers are at least `from` and less than `until`. If the latest
   * publication has no offset, it is counted here, and found by {@link first} and {@link fromEnd}, only while someone follows
   * the log.
   */
  count(channel: string, from: number, until: number): number {
    const numbers = this.#numbers.get(channel);
    if (numbers === undefined) return 0;
    return indexOf(numbers, until) - indexOf(numbers, from);
  }

  /** The number of the first publication of a channel from `from` on; undefined if it holds none. */
  first(channel: string, from: number): number | undefined {
    const numbers = this.#numbers.get(channel);
    return numbers?.all[indexOf(numbers, from)];
  }

  /**
   * The number of a channel's latest publication, or of an earlier one; undefined if the log does not hold that one.
   *
   * @param before how many publications of the channel came after it.
   */
  fromEnd(channel: string, before: number): number | undefined {
    const numbers = this.#numbers.get(channel);
    if (numbers === undefined) return undefined;
    const index = numbers.all.length - 1 - before;
    return index < numbers.first ? undefined : numbers.all[index];
  }

  /**
   * Drops up to {@link MOST_TRIMMED} of the oldest publications, but none from the first one with an offset on. Does nothing
   * while someone follows the log. Call it from time to time.
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

  /** Drops the latest publication and leaves its slot empty. If it was the only one, the log is empty then. */
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
    const grown = new Array<Publication | undefined>(held.length * 2).fill(undefined);
    for (let n = this.#oldest; n < this.#next; n += 1) {
      grown[n & (grown.length - 1)] = held[n & (held.length - 1)];
    }
    this.#entries = grown;
  }
}

/** What a publication takes up in memory, in bytes. */
export function costOf({ body, deflated }: Publication): number {
  return body.length + (deflated?.bytes.length ?? 0) + ENTRY_BYTES;
}

/** The index of the first valid number that is at least `number`. */
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
