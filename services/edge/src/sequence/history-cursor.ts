import type { GapReason } from '@tradewind/protocol';
import type { HistoryEntry } from './message.ts';

/** Goes once through what is known of a channel's past, and says why the rest cannot be had. */
export class HistoryCursor {
  readonly #entries: readonly HistoryEntry[];
  #next = 0;
  /** The last offset that the history speaks of, inclusive. */
  readonly until: number;
  /** Why an offset that the history does not hold cannot be delivered. */
  readonly reason: GapReason;
  /** The number of publications from history that had been missed. */
  repaired = 0;

  /**
   * @param history in ascending order of offsets.
   * @param waiting messages that fill holes of the history.
   */
  constructor(
    history: readonly HistoryEntry[],
    until: number,
    reason: GapReason,
    waiting: Iterable<HistoryEntry>,
  ) {
    const entries = new Map(history.map((entry) => [entry.offset, entry]));
    for (const entry of waiting) if (!entries.has(entry.offset)) entries.set(entry.offset, entry);
    this.#entries = [...entries.values()].sort((one, other) => one.offset - other.offset);
    this.until = until;
    this.reason = reason;
  }

  /** The entry under an offset, if {@link takeUpTo} has not gone past it. */
  find(offset: number): HistoryEntry | undefined {
    for (let index = this.#next; index < this.#entries.length; index += 1) {
      const entry = this.#entries[index]!;
      if (entry.offset >= offset) return entry.offset === offset ? entry : undefined;
    }
    return undefined;
  }

  /** The next entry up to this offset, if there is one. */
  takeUpTo(offset: number): HistoryEntry | undefined {
    const next = this.#entries[this.#next];
    if (next === undefined || next.offset > offset) return undefined;
    this.#next += 1;
    return next;
  }
}
