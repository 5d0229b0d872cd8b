import type { Publication } from './publication.ts';
import { firstOffsetOf, type Hole, type HoleReason, type PastItem } from './replay.ts';

/** Offsets of one channel that nobody can have, in ascending order; neighbours of one reason are one gap. */
export class Gaps {
  readonly #all: Hole[] = [];

  get all(): readonly Hole[] {
    return this.#all;
  }

  /** Adds what follows all that was added before, both inclusive; nothing where `to` is before `from`. */
  add(from: number, to: number, reason: HoleReason): void {
    if (to < from) return;
    const last = this.#all.at(-1);
    if (last?.to === from - 1 && last.reason === reason) {
      this.#all[this.#all.length - 1] = { ...last, to };
    } else {
      this.#all.push({ from, to, reason });
    }
  }

  /** Lets go of the oldest, so that no more than so many are left. */
  keep(most: number): void {
    if (this.#all.length > most) this.#all.splice(0, this.#all.length - most);
  }

  clear(): void {
    this.#all.length = 0;
  }
}

/** Publications and gaps of one channel, each in ascending order, as one. */
export function inOrder(
  publications: readonly Publication[],
  gaps: readonly Hole[],
): readonly PastItem[] {
  if (gaps.length === 0) return publications;
  return [...publications, ...gaps].sort((one, other) => firstOffsetOf(one) - firstOffsetOf(other));
}
