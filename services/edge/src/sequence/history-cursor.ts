import type { GapReason } from '@tradewind/protocol';
import type { HistoryEntry } from './message.ts';

/** What history holds of a channel, gone through once, and what it means that it does not hold something. */
export class HistoryCursor {
  #held: readonly HistoryEntry[];
  #next = 0;
  /** The last offset that it speaks of, inclusive. */
  readonly until: number;
  /** Why what it does not hold cannot be had. */
  readonly reason: GapReason;
  /** Publications of it that had been missed. */
  repaired = 0;

  /** @param held in ascending order of offsets. */
  constructor(held: readonly HistoryEntry[], until: number, reason: GapReason) {
    this.#held = held;
    this.until = until;
    this.reason = reason;
  }

  /** Takes in what else is known, where history holds nothing. To be called before anything is taken out. */
  add(others: Iterable<HistoryEntry>): void {
    const held = new Map(this.#held.map((one) => [one.offset, one]));
    for (const other of others) if (!held.has(other.offset)) held.set(other.offset, other);
    this.#held = [...held.values()].sort((one, other) => one.offset - other.offset);
  }

  /** What it holds under an offset that is not taken out yet. */
  find(offset: number): HistoryEntry | undefined {
    for (let at = this.#next; at < this.#held.length; at += 1) {
      const one = this.#held[at]!;
      if (one.offset >= offset) return one.offset === offset ? one : undefined;
    }
    return undefined;
  }

  /** The next publication up to this offset, if there is a further one. */
  takeUpTo(offset: number): HistoryEntry | undefined {
    const next = this.#held[this.#next];
    if (next === undefined || next.offset > offset) return undefined;
    this.#next += 1;
    return next;
  }
}
