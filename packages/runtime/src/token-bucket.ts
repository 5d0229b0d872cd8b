/** A rate with a burst. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket: allows a burst, and from then on a rate. Reads no clock of its own. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #updatedAt: number;

  /** @param now ms, on the clock that all calls share. */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#updatedAt = now;
  }

  /** Takes all of `count` tokens, or none; whoever asks for more than the burst never gets them. */
  take(now: number, count = 1): boolean {
    this.#earn(now);
    if (count > this.#tokens) return false;
    this.#tokens -= count;
    return true;
  }

  /**
   * Takes `count` tokens that are spent already, though there may be fewer: until what is owed has been earned, nothing can
   * be taken, not even 0. A negative count gives back.
   */
  charge(now: number, count: number): void {
    this.#earn(now);
    this.#tokens = Math.min(this.#rate.burst, this.#tokens - count);
  }

  /** How long after the last call there are `count` tokens, in whole ms; 0 if there are. */
  waitMs(count = 1): number {
    return Math.max(0, Math.ceil(((count - this.#tokens) / this.#rate.perSecond) * 1_000));
  }

  #earn(now: number): void {
    const earned = ((now - this.#updatedAt) / 1_000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + earned);
    this.#updatedAt = now;
  }
}
