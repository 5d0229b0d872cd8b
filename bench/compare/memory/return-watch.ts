/**
 * Memory counts as returned after it has been within its bound for this long, in s, because garbage makes it rise and
 * fall.
 */
export const BACK_FOR_SECONDS = 5;

/** The return of memory that clients held, without a forced collection. */
export interface UnforcedReturn {
  /** The last reading of PSS, in bytes. */
  readonly pssBytes: number;
  /** Whether memory had returned before the watch gave up. */
  readonly isBack: boolean;
  /** From the departure of the clients until memory had returned or the watch gave up, in s. */
  readonly seconds: number;
}

/** PSS in bytes, and the time of the reading in s. */
export interface PssReading {
  readonly seconds: number;
  readonly pssBytes: number;
}

/**
 * The lowest bound that PSS kept for {@link BACK_FOR_SECONDS}, in bytes: {@link ReturnWatch} tests for such a bound.
 * Infinite if the readings cover less time than that.
 */
export function leastHeld(readings: readonly PssReading[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { seconds: from } of readings) {
    const until = from + BACK_FOR_SECONDS;
    const last = readings.at(-1);
    if (last === undefined || last.seconds < until) break;
    const within = readings.filter(({ seconds }) => seconds >= from && seconds <= until);
    least = Math.min(least, Math.max(...within.map(({ pssBytes }) => pssBytes)));
  }
  return least;
}

/** Watches PSS return to a bound. It has no clock: each reading has its time. */
export class ReturnWatch {
  readonly #boundBytes: number;
  readonly #deadlineSeconds: number;
  #withinSince: number | undefined;

  /**
   * @param boundBytes the bound to return to.
   * @param deadlineSeconds when the watch gives up. If PSS is within the bound at that time, the watch continues until
   * the return counts or fails.
   */
  constructor(boundBytes: number, deadlineSeconds: number) {
    this.#boundBytes = boundBytes;
    this.#deadlineSeconds = deadlineSeconds;
  }

  /**
   * Adds a reading; returns undefined while more are needed.
   *
   * @param seconds since the clients had left.
   */
  take(seconds: number, pssBytes: number): UnforcedReturn | undefined {
    if (pssBytes <= this.#boundBytes) {
      this.#withinSince ??= seconds;
      if (seconds - this.#withinSince < BACK_FOR_SECONDS) return undefined;
      return { pssBytes, isBack: true, seconds: this.#withinSince };
    }
    this.#withinSince = undefined;
    return seconds < this.#deadlineSeconds ? undefined : { pssBytes, isBack: false, seconds };
  }
}
