import { crc32 } from 'node:zlib';
import type { HistoryEntry } from './message.ts';

/**
 * How far the clocks of a master, of the replica that replaces it, and of this node may be apart, in ms. It matters only if no
 * fingerprint tells what was delivered before a failover that lost writes. Then a publication is delivered under the new epoch if
 * its time is later than that of our last one less this skew: better twice under two epochs than never.
 */
const CLOCK_SKEW_MS = 2_000;

/** The part of a history that was delivered. */
export interface DeliveredPart {
  /** The offset of its last publication; 0 if nothing of the history was delivered. */
  readonly offset: number;
  /** Whether that very publication was delivered. If not, it is only older than the last one that was. */
  readonly isCertain: boolean;
}

/** The last publications of a channel that were delivered, to compare them with what Redis holds. */
export class RecentlyDelivered {
  readonly #fingerprints = new PublicationFingerprints();
  /** The time of the last publication that was delivered; 0 if none was since the channel, or its epoch, began. */
  #lastPublishedAt = 0;
  /** ms since the Unix epoch. */
  #begunAt = 0;

  /**
   * Forgets all, because the channel or an epoch of it begins.
   *
   * @param begunAt when the position was requested at which it begins, in ms since the Unix epoch.
   * @param before the entries up to that position that Redis holds, without a hole.
   */
  reset(begunAt: number, before: readonly HistoryEntry[] = []): void {
    this.#begunAt = begunAt;
    this.#lastPublishedAt = 0;
    this.#fingerprints.clear();
    for (const publication of before) this.#fingerprints.remember(publication);
  }

  /** Remembers a publication that was delivered. */
  remember(publication: HistoryEntry): void {
    this.#lastPublishedAt = publication.publishedAt;
    this.#fingerprints.remember(publication);
  }

  /** Whether the last publication that was delivered is older than this one, by the times that both give. */
  isOlderThan({ publishedAt }: HistoryEntry): boolean {
    return this.#lastPublishedAt > 0 && publishedAt > this.#lastPublishedAt;
  }

  /** Whether an entry of Redis differs from the publication that was delivered under its offset. */
  differsFrom(entry: HistoryEntry): boolean {
    return !(this.#fingerprints.has(entry) ?? entry.publishedAt <= this.#knownUntil);
  }

  /**
   * Finds the part of a new epoch's history that was delivered under an old epoch. A replica that took over holds what was
   * delivered up to some offset: that of the last entry that is the same.
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

  /** The time up to which all publications were delivered, by the publishers' clock. */
  get #knownUntil(): number {
    return this.#lastPublishedAt === 0 ? this.#begunAt : this.#lastPublishedAt;
  }
}

/**
 * The most publications of one channel that are remembered, a power of two: 1 KiB a channel. Usually a failover loses fewer of
 * one channel, because Redis' replicas are some ms behind.
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
  /** The last offset that is remembered, and how many offsets up to it are, without a hole. */
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

  /** Forgets all publications. */
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

/** Spreads the bits of a time over 32: 2^32 divided by the golden ratio, so that times that are close differ in many bits. */
const SPREAD = 0x9e3779b1;

/**
 * The time is part of it, so that the same payload at another time is another publication. The time is not part of the checksum's
 * input: a difference of the time could cancel one of the first bytes there.
 */
function fingerprint({ publishedAt, payload }: HistoryEntry): number {
  return (crc32(payload) ^ Math.imul(publishedAt % 2 ** 32, SPREAD)) >>> 0;
}
