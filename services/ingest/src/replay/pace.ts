/** How fast a file of trades is replayed. */
export type Pace =
  /** By the trades' own times, `speed` times as fast. */
  | { readonly kind: 'own'; readonly speed: number }
  /** At `perSecond` trades a second. */
  | { readonly kind: 'rate'; readonly perSecond: number };

/**
 * Computes when each trade is due, in ms after the start. Times are counted from the start and not from the trade before, so
 * that delays are made up for and errors do not add up.
 */
export class Schedule {
  readonly #pace: Pace;
  #count = 0;
  #firstTs: number | undefined;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Returns when the next trade is due. @param ts the trade's own time, in ms; one out of order is due at once. */
  next(ts: number): number {
    this.#firstTs ??= ts;
    const index = this.#count;
    this.#count += 1;
    if (this.#pace.kind === 'rate') return (index * 1_000) / this.#pace.perSecond;
    return (ts - this.#firstTs) / this.#pace.speed;
  }
}
