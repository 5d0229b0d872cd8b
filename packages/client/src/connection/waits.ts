/** Bounds of waits, in ms: of the first one, and the largest. */
export interface WaitSettings {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * A wait before an attempt, in ms: at random from 0 to a bound that doubles with each attempt, so that nobody comes back at
 * the time at which all others do.
 *
 * @param attempt attempts that failed before, from 0.
 * @param random from 0 to 1.
 */
export function resumeWait(
  attempt: number,
  random: number,
  { firstMs, maxMs }: WaitSettings,
): number {
  return random * Math.min(maxMs, firstMs * 2 ** attempt);
}

/** The same for a node that asked for distance: never less than `firstMs`, and twice as long. */
export function backOffWait(attempt: number, random: number, settings: WaitSettings): number {
  return settings.firstMs + 2 * resumeWait(attempt, random, settings);
}
