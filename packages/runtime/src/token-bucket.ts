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
    const earned = ((now - this.#updatedAt) / 1_000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + earned);
    this.#updatedAt = now;
    if (count > this.#tokens) return false;
    this.#tokens -= count;
    return true;
  }

  /** How long after the last `take` there are `count` tokens, in whole ms; 0 if there are. */
  waitMs(count = 1): number {
    return Math.max(0, Math.ceil(((count - this.#tokens) / this.#rate.perSecond) * 1_000));
  }
}
