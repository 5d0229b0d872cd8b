import { crc32 } from 'node:zlib';
import type { HistoryEntry } from './message.ts';

/**
 * How far the clocks of a master, of the replica that replaces it, and of this node may be apart, in ms. It counts only
 * where no fingerprint tells what was delivered before a failover that lost writes. Then a publication that is stamped
 * later than our last one less this is delivered under the new epoch: rather twice under two epochs than never.
 */
const CLOCK_SKEW_MS = 2_000;

/** Up to where a history holds what was delivered. */
export interface DeliveredPart {
  /** 0 when the history holds nothing of it. */
  readonly offset: number;
  /** Whether that very publication was delivered; otherwise it is only older than the last that was. */
  readonly isCertain: boolean;
}

/** The last publications of a channel that were delivered, to compare them with what Redis holds. */
export class RecentlyDelivered {
  readonly #fingerprints = new PublicationFingerprints();
  /** Of the last publication that was delivered; 0 when none was since the channel, or its epoch, began. */
  #lastPublishedAt = 0;
  /** ms since the Unix epoch. */
  #begunAt = 0;

  /**
   * Forgets all: the channel, or an epoch of it, begins where it stood then, or later.
   *
   * @param begunAt ms since the Unix epoch.
   * @param before what Redis holds of the channel from before, without a hole.
   */
  reset(begunAt: number, before: readonly HistoryEntry[] = []): void {
    this.#begunAt = begunAt;
    this.#lastPublishedAt = 0;
    this.#fingerprints.clear();
    for (const publication of before) this.#fingerprints.remember(publication);
  }

  remember(publication: HistoryEntry): void {
    this.#lastPublishedAt = publication.publishedAt;
    this.#fingerprints.remember(publication);
  }

  /** Whether the last one is older than this publication, by the time that the publication gives. */
  isOlderThan({ publishedAt }: HistoryEntry): boolean {
    return this.#lastPublishedAt > 0 && publishedAt > this.#lastPublishedAt;
  }

  /** Whether Redis holds another publication under an offset than the one that was delivered. */
  differsFrom(entry: HistoryEntry): boolean {
    return !(this.#fingerprints.has(entry) ?? entry.publishedAt <= this.#knownUntil);
  }

  /**
   * Up to where a history under a new epoch was delivered under an old one. A replica that took over holds what we had up
   * to some point: up to the last entry that is the same.
   *
   * @param history in ascending order of offsets.
   */
  partIn(history: readonly HistoryEntry[]): DeliveredPart {
    const first = history.findIndex((entry) => this.#fingerprints.has(entry) === false);
    const alike = first === -1 ? history : history.slice(0, first);
    const same = alike.findLast((entry) => this.#fingerprints.has(entry) === true);
    if (same !== undefined) return { offset: same.offset, isCertain: true };
    const since = this.#knownUntil - CLOCK_SKEW_MS;
    const later = alike.findIndex(({ publishedAt }) => publishedAt >= since);
    const older = later === -1 ? alike.at(-1) : alike[later - 1];
    return { offset: older?.offset ?? 0, isCertain: false };
  }

  /** Up to when all that was published is known here, by the publishers' clock. */
  get #knownUntil(): number {
    return this.#lastPublishedAt === 0 ? this.#begunAt : this.#lastPublishedAt;
  }
}

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
