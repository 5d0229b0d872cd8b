import type { Publication } from './publication.ts';
import { firstOffsetOf, type Hole, type HoleReason, type PastItem } from './replay.ts';

/** Offsets of one channel that nobody can have, in ascending order. Neighbours with the same reason are one gap. */
export class Gaps {
  readonly #all: Hole[] = [];

  /** In ascending order. Not a copy: it changes with the gaps. */
  get all(): readonly Hole[] {
    return this.#all;
  }

  /** Adds a range behind all that were added before, both ends inclusive. Adds nothing when `to` is less than `from`. */
  add(from: number, to: number, reason: HoleReason): void {
    if (to < from) return;
    const last = this.#all.at(-1);
    if (last?.to === from - 1 && last.reason === reason) {
      this.#all[this.#all.length - 1] = { ...last, to };
    } else {
      this.#all.push({ from, to, reason });
    }
  }

  /** Drops the oldest gaps, so that no more than `count` are left. */
  keepLatest(count: number): void {
    if (this.#all.length > count) this.#all.splice(0, this.#all.length - count);
  }

  /** Drops all gaps. */
  clear(): void {
    this.#all.length = 0;
  }
}

/** Publications and gaps of one channel as one list. Each of the two must be in ascending order. */
export function inOrder(
  publications: readonly Publication[],
  gaps: readonly Hole[],
): readonly PastItem[] {
  if (gaps.length === 0) return publications;
  return [...publications, ...gaps].sort((one, other) => firstOffsetOf(one) - firstOffsetOf(other));
}
