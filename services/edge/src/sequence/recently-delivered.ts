import type { HistoryEntry } from './message.ts';
import { PublicationFingerprints } from './publication-fingerprints.ts';

/**
 * How far the clocks of a master, the replica that takes its place, and this node may be apart, in ms.
 * Where nothing else tells what was passed on before a failover that lost writes, what is stamped later
 * than our last publication less this is sent under the new epoch: rather twice under two epochs than
 * never.
 */
const CLOCK_SKEW_MS = 2_000;

/** Up to where a history holds what was passed on. */
export interface Seen {
  /** 0 when it holds nothing of it. */
  readonly offset: number;
  /** Whether that very publication was passed on; otherwise it is only older than the last that was. */
  readonly isCertain: boolean;
}

/** What of a channel was passed on last, to be compared with what Redis holds. */
export class PassedOn {
  readonly #fingerprints = new PublicationFingerprints();
  /** Of the last publication that was passed on; 0 when none was since the channel, or its epoch, began. */
  #lastPublishedAt = 0;
  /** ms since the Unix epoch. */
  #begunAt = 0;

  /**
   * The channel, or an epoch of it, begins where it stood then, or later.
   *
   * @param begunAt ms since the Unix epoch.
   * @param seen what Redis holds of it from before, without a hole.
   */
  begin(begunAt: number, seen: readonly HistoryEntry[] = []): void {
    this.#begunAt = begunAt;
    this.#lastPublishedAt = 0;
    this.#fingerprints.forget();
    for (const publication of seen) this.#fingerprints.remember(publication);
  }

  remember(publication: HistoryEntry): void {
    this.#lastPublishedAt = publication.publishedAt;
    this.#fingerprints.remember(publication);
  }

  /** Whether a publication says that it is later than the last one. */
  isOutrunBy({ publishedAt }: HistoryEntry): boolean {
    return this.#lastPublishedAt > 0 && publishedAt > this.#lastPublishedAt;
  }

  /** Whether Redis holds another publication under an offset than the one that was passed on. */
  differsFrom(held: HistoryEntry): boolean {
    return !(this.#fingerprints.has(held) ?? held.publishedAt <= this.#lastSeenAt);
  }

  /**
   * Up to where what Redis holds under a new epoch was passed on under an old one. A replica that took
   * over holds what we had up to some point: up to the last one that is the very same.
   */
  seenIn(held: readonly HistoryEntry[]): Seen {
    const first = held.findIndex((one) => this.#fingerprints.has(one) === false);
    const alike = first === -1 ? held : held.slice(0, first);
    const same = alike.findLast((one) => this.#fingerprints.has(one) === true);
    if (same !== undefined) return { offset: same.offset, isCertain: true };
    const since = this.#lastSeenAt - CLOCK_SKEW_MS;
    const later = alike.findIndex(({ publishedAt }) => publishedAt >= since);
    const older = later === -1 ? alike.at(-1) : alike[later - 1];
    return { offset: older?.offset ?? 0, isCertain: false };
  }

  /** Until when, by a clock of others, all that was published is known here. */
  get #lastSeenAt(): number {
    return this.#lastPublishedAt === 0 ? this.#begunAt : this.#lastPublishedAt;
  }
}
