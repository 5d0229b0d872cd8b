/** Allows a number per second on average, and so many at once when it has been quiet. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #capacity: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /**
   * @param perSecond tokens that come in per second.
   * @param capacity tokens that it holds at most; whoever asks for more never gets them.
   * @param now a clock in ms that never goes back.
   */
  constructor(perSecond: number, capacity: number, now = (): number => performance.now()) {
    this.#perSecond = perSecond;
    this.#capacity = capacity;
    this.#now = now;
    this.#tokens = capacity;
    this.#filledAt = now();
  }

  /** Takes all of `count` and returns 0, or takes none and returns the ms after which to try again. */
  take(count: number): number {
    const now = this.#now();
    const earned = ((now - this.#filledAt) / 1_000) * this.#perSecond;
    this.#tokens = Math.min(this.#capacity, this.#tokens + earned);
    this.#filledAt = now;
    if (count > this.#tokens) return Math.ceil(((count - this.#tokens) / this.#perSecond) * 1_000);
    this.#tokens -= count;
    return 0;
  }
}
