/** Memory counts as back when it has been within its bound for so long, in s: garbage makes it go up and down. */
export const BACK_FOR_SECONDS = 5;

/** What came back of the memory that clients held, without anything being done for it. */
export interface UnforcedReturn {
  /** PSS when it was last read, in bytes. */
  readonly pssBytes: number;
  /** Whether it was back before the watch was given up. */
  readonly isBack: boolean;
  /** From when the clients had left until it was back, or until the watch was given up, in s. */
  readonly seconds: number;
}

/** PSS in bytes, and when it was read, in s. */
export interface PssReading {
  readonly seconds: number;
  readonly pssBytes: number;
}

/**
 * The least that PSS stayed at or below for {@link BACK_FOR_SECONDS}, in bytes: what {@link ReturnWatch} asks
 * whether it came to. Infinite when the readings are of less time than that.
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

/** Watches PSS come back. It has no clock: each reading says when it was taken. */
export class ReturnWatch {
  readonly #boundBytes: number;
  readonly #deadlineSeconds: number;
  #withinSince: number | undefined;

  /**
   * @param boundBytes what it has to come down to.
   * @param deadlineSeconds when it is given up. What is within the bound by then may still stay there
   *   for as long as it takes to count.
   */
  constructor(boundBytes: number, deadlineSeconds: number) {
    this.#boundBytes = boundBytes;
    this.#deadlineSeconds = deadlineSeconds;
  }

  /**
   * Takes a reading; undefined while further ones are needed.
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
