import type { HistoryEntry } from './message.ts';
import { PublicationFingerprints } from './publication-fingerprints.ts';

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
  begin(begunAt: number, before: readonly HistoryEntry[] = []): void {
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
