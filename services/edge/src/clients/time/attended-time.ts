/** The length of a beat in ms: how often a worker checks which clients are due. */
export const BEAT_MS = 50;

/** Beats in a second of attended time. */
export const BEATS_PER_SECOND = 1_000 / BEAT_MS;

/** A beat that never comes. */
export const NEVER = Number.POSITIVE_INFINITY;

/**
 * The time that a worker has attended to its clients, in beats. It is not clock time: a process that was held up for five
 * seconds counts one second afterwards, so no client is blamed for bytes that the process itself did not read.
 */
export class AttendedTime {
  /** Beats since the beginning. */
  beat = 0;
  #countedTo: number;

  /** @param now ms on the monotonic clock. */
  constructor(now: number) {
    this.#countedTo = now;
  }

  /**
   * Advances to `now`, in ms on the same clock, by at most a second. The fraction of a beat that is left counts next time.
   *
   * @returns whether at least one beat has passed.
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
