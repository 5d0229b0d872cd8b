/** The share of a beat's rate in the mean: a channel is judged by its last five seconds or so. */
const NEWEST_SHARE = 0.3;

/** Below this rate a channel is forgotten, in publications a second. It bounds what is kept to channels that live. */
const LEAST_RATE = 0.01;

interface Count {
  sinceBeat: number;
  perSecond: number;
}

/** How many publications come on each channel of a node. It counts only while somebody asks. */
export class ChannelRates {
  /** Whether somebody asks. The caller looks before it counts, since a call for each message would be for nothing. */
  isCounting = false;
  /** Whether a beat is over. Until then the rate of each channel is unknown, which `of` cannot tell from 0. */
  hasCounted = false;
  #counts: Map<string, Count> | undefined;
  #beatAt = 0;

  /** Counts a publication. Does nothing while nobody asks. */
  count(channel: string): void {
    if (this.#counts === undefined) return;
    const count = this.#counts.get(channel);
    if (count === undefined) this.#counts.set(channel, { sinceBeat: 1, perSecond: 0 });
    else count.sinceBeat += 1;
  }

  /** Forgets all. Nothing is counted until the next {@link beat}. */
  stop(): void {
    this.#counts = undefined;
    this.isCounting = false;
    this.hasCounted = false;
  }

  /**
   * Ends a beat, of about a second, and begins the next. The first one only begins.
   *
   * @param now ms on the monotonic clock.
   */
  beat(now: number): void {
    const seconds = (now - this.#beatAt) / 1_000;
    this.#beatAt = now;
    if (this.#counts === undefined) {
      this.#counts = new Map();
      this.isCounting = true;
      return;
    }
    this.hasCounted = true;
    for (const [channel, count] of this.#counts) {
      const newest = count.sinceBeat / seconds;
      const isNew = count.perSecond === 0;
      count.perSecond = isNew
        ? newest
        : count.perSecond + (newest - count.perSecond) * NEWEST_SHARE;
      count.sinceBeat = 0;
      if (count.perSecond < LEAST_RATE) this.#counts.delete(channel);
    }
  }

  /** Publications a second on a channel. */
  of(channel: string): number {
    return this.#counts?.get(channel)?.perSecond ?? 0;
  }
}
