/** The unit in which a worker tells time to its clients, in ms: how often it looks who is due. */
export const BEAT_MS = 50;

export const BEATS_PER_SECOND = 1_000 / BEAT_MS;

/** A beat that does not come. */
export const NEVER = Number.POSITIVE_INFINITY;

/**
 * The time for which a worker has been there for its clients, in beats. It is not clock time: a process that was itself
 * held up for five seconds counts one second afterwards, and blames nobody for what it did not read meanwhile.
 */
export class AttendedTime {
  /** Beats since it began. */
  beat = 0;
  #countedTo: number;

  /** @param now ms on the monotonic clock. */
  constructor(now: number) {
    this.#countedTo = now;
  }

  /**
   * Goes on to `now`, in ms on the same clock, by a second at most. Returns whether a beat or more has passed; what is left of
   * one counts the next time.
   */
  advance(now: number): boolean {
    const beats = Math.floor((now - this.#countedTo) / BEAT_MS);
    if (beats > BEATS_PER_SECOND) {
      this.beat += BEATS_PER_SECOND;
      this.#countedTo = now;
    } else {
      this.beat += beats;
      this.#countedTo += beats * BEAT_MS;
    }
    return beats > 0;
  }
}
