/** The weight of the latest beat in the mean rate, which covers about the last five seconds. */
const NEWEST_SHARE = 0.3;

/** The rate below which a channel is forgotten, in publications a second. So only active channels take memory. */
const LEAST_RATE = 0.01;

interface Count {
  sinceBeat: number;
  perSecond: number;
}

/** How many publications come on each channel of a node. It counts only while a page of a console asks. */
export class ChannelRates {
  /** Whether it counts. Callers check it before {@link count}, to save a call for each message. */
  isCounting = false;
  /** Whether a beat has ended. Until then rates are unknown, which {@link of} cannot tell from 0. */
  hasCounted = false;
  #counts: Map<string, Count> | undefined;
  #beatAt = 0;

  /** Counts a publication. Does nothing unless {@link isCounting}. */
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
   * Ends a beat, which takes about a second, and begins the next one. The first call only begins a beat.
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
