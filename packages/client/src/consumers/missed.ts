import type { Gap, Missed, Resync } from '../types.ts';

/** Gaps that one publication carries; older ones count, and are not listed. */
const MOST_GAPS = 64;

/** Collects what a consumer did not get until its next publication. */
export class MissedItems {
  #gaps: Gap[] = [];
  #count: number | undefined = 0;
  #resync: Resync | undefined;

  add(item: Gap | Resync): void {
    if (item.kind === 'resync') {
      if (item.reason !== 'started') this.#resync = item;
      return;
    }
    this.#count =
      this.#count === undefined || item.lost === undefined ? undefined : this.#count + item.lost;
    this.#gaps.push(item);
    if (this.#gaps.length > MOST_GAPS) this.#gaps.shift();
  }

  /** What was collected, which is then forgotten; undefined if nothing was. */
  take(): Missed | undefined {
    const gaps = this.#gaps;
    const resync = this.#resync;
    if (gaps.length === 0 && resync === undefined) return undefined;
    const count = resync === undefined ? this.#count : undefined;
    this.#gaps = [];
    this.#count = 0;
    this.#resync = undefined;
    return {
      ...(count !== undefined && { count }),
      gaps,
      ...(resync && { resync }),
    };
  }
}
