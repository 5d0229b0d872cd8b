/**
 * A client is slow after this many sends in a row were refused. One refusal is a burst, two are
 * bad luck; the number is the one that operators of the predecessor know.
 */
export const SLOW_STRIKES = 3;

/** When a client that does not keep up is to be disconnected. */
export interface SlowPolicy {
  /**
   * The least time between the first and the last of the refusals in a row, in ms: at 400
   * publications a second, three refusals are over in 5 ms, and that is one burst.
   */
  readonly graceMs: number;
  /** The longest time for which publications may wait without the outbox being empty once, in ms. */
  readonly maxLagMs: number;
}

/** What an outbox remembers of what its client was refused. Times are ms on one monotonic clock. */
export interface Pace {
  refusalsInARow: number;
  /** When the first of those was refused. */
  firstRefusedAt: number;
}

/** Whether a client was refused too often in a row, over too long a time. */
export function hasStruckOut(pace: Pace, policy: SlowPolicy, now: number): boolean {
  return pace.refusalsInARow >= SLOW_STRIKES && now - pace.firstRefusedAt >= policy.graceMs;
}

/**
 * Whether publications have been waiting for longer than the policy allows.
 *
 * @param behindSince since when, ms on the same clock; NaN while none waits.
 */
export function lagsTooLong(behindSince: number, policy: SlowPolicy, now: number): boolean {
  return now - behindSince >= policy.maxLagMs;
}
