/** A rate with a burst. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** The part of a rate that one of `count` gets, rounded up, so that none gets nothing. */
export function dividedRate({ perSecond, burst }: Rate, count: number): Rate {
  return { perSecond: Math.ceil(perSecond / count), burst: Math.ceil(burst / count) };
}

/** A rate of at most `perSecond`, whose burst is smaller in the same proportion. Never wider than `rate`. */
export function narrowedRate(rate: Rate, perSecond: number): Rate {
  if (perSecond >= rate.perSecond) return rate;
  const burst = Math.max(1, Math.ceil((rate.burst * perSecond) / rate.perSecond));
  return { perSecond, burst: Math.min(rate.burst, burst) };
}

/** The larger of two rates, and of their bursts. */
export function widerRate(one: Rate, other: Rate): Rate {
  return {
    perSecond: Math.max(one.perSecond, other.perSecond),
    burst: Math.max(one.burst, other.burst),
  };
}

/** A token bucket: allows a burst, and after that a rate. It reads no clock of its own. */
export class TokenBucket {
  #rate: Rate;
  #tokens: number;
  #updatedAt: number;

  /** @param now ms of the clock that all calls share. */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#updatedAt = now;
  }

  /** Takes all of `count` tokens, or none. A call for more than the burst never succeeds. */
  take(now: number, count = 1): boolean {
    this.#earn(now);
    if (count > this.#tokens) return false;
    this.#tokens -= count;
    return true;
  }

  /**
   * Takes `count` tokens that were already spent, though there may be fewer. Until the debt has been earned, nothing
   * can be taken, not even 0. A negative count gives tokens back.
   */
  charge(now: number, count: number): void {
    this.#earn(now);
    this.#tokens = Math.min(this.#rate.burst, this.#tokens - count);
  }

  /** Earns and saves by another rate from now on. What was saved is kept up to the new burst. */
  changeRate(now: number, rate: Rate): void {
    this.#earn(now);
    this.#rate = rate;
    this.#tokens = Math.min(rate.burst, this.#tokens);
  }

  /** Time from the last call until there are `count` tokens, in whole ms. 0 if there are. */
  waitMs(count = 1): number {
    return Math.max(0, Math.ceil(((count - this.#tokens) / this.#rate.perSecond) * 1_000));
  }

  #earn(now: number): void {
    const earned = ((now - this.#updatedAt) / 1_000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + earned);
    this.#updatedAt = now;
  }
}
