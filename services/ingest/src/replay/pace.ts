/** How fast a file of trades is replayed. */
export type Pace =
  /** At the distances of the trades' own times, `speed` times as fast. */
  | { readonly kind: 'own'; readonly speed: number }
  /** At so many trades per second. */
  | { readonly kind: 'rate'; readonly perSecond: number };

/**
 * When each trade is due, in ms after the start. The schedule hangs on the start and not on the
 * trade before, so that what was late is caught up with, and errors do not add up.
 */
export class Schedule {
  readonly #pace: Pace;
  #count = 0;
  #firstTs: number | undefined;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** When the next trade is due. `ts` is its own time, in ms; one out of order is due at once. */
  next(ts: number): number {
    this.#firstTs ??= ts;
    const index = this.#count;
    this.#count += 1;
    if (this.#pace.kind === 'rate') return (index * 1_000) / this.#pace.perSecond;
    return (ts - this.#firstTs) / this.#pace.speed;
  }
}
