/**
 * A client is slow after this many publications in a row were refused. One refusal is a burst, two are bad luck. Operators
 * of the predecessor know this number.
 */
export const SLOW_STRIKES = 3;

/** When a client that does not keep up must be disconnected. */
export interface SlowPolicy {
  /**
   * The least time between the first and the last refusal in a row, in ms. At 400 publications a second three refusals are
   * over in 5 ms, and that is one burst.
   */
  readonly graceMs: number;
  /** The longest time for which publications may wait, without the outbox being empty once, in ms. */
  readonly maxLagMs: number;
}

/** What an outbox remembers of its client's refusals. Times are in ms on one monotonic clock. */
export interface Pace {
  refusalsInARow: number;
  /** When the first of them was refused. */
  firstRefusedAt: number;
}

/** Whether a client was refused too often in a row, over too long a time. */
export function hasStruckOut(pace: Pace, policy: SlowPolicy, now: number): boolean {
  return pace.refusalsInARow >= SLOW_STRIKES && now - pace.firstRefusedAt >= policy.graceMs;
}

/**
 * Whether publications have been waiting for longer than the policy allows.
 *
 * @param behindSince when the oldest wait began, in ms on the same clock; NaN while none waits.
 */
export function lagsTooLong(behindSince: number, policy: SlowPolicy, now: number): boolean {
  return now - behindSince >= policy.maxLagMs;
}
