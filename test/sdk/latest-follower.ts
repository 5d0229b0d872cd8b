import type { Position } from '@tradewind/client';
import { Follower, type OfOffsets } from './follower.ts';

/**
 * Reads a channel whose publications may be skipped, and judges it as {@link Follower} does, with one rule more: skipped and lost
 * publications together must fill the hole between two offsets.
 */
export class LatestFollower extends Follower {
  /** The publication before the gaps that came last, and how many publications those lost. */
  #before: Position | undefined;
  #lost = 0;

  protected override follows(item: OfOffsets, from: number): boolean {
    const at = this.at!;
    if (this.#before?.epoch !== at.epoch) this.#before = undefined;
    if (item.kind === 'gap') {
      if (this.#before === undefined) this.#lost = 0;
      this.#before ??= at;
      this.#lost += item.lost ?? Number.NaN;
      return from > at.offset;
    }
    const before = this.#before ?? at;
    const lost = this.#before === undefined ? 0 : this.#lost;
    this.#before = undefined;
    const leftOut = from - before.offset - 1;
    return from > at.offset && (Number.isNaN(lost) || leftOut === lost + (item.skipped ?? 0));
  }
}
