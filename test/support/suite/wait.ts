import { setTimeout as sleep } from 'node:timers/promises';

/** How often a check is repeated, in ms. */
const INTERVAL_MS = 20;

/** How long to wait for what should happen at once, in ms, also on slow machines. */
const DEFAULT_DEADLINE_MS = 30_000;

/**
 * What a machine with other work may add to a promised time, in ms. A test that holds the product to "within 3 s" measures
 * whatever else runs, too; without the protection that it is about it would wait for far longer than both.
 */
export const BUSY_MACHINE_MS = 4_000;

export interface EventuallyOptions {
  readonly deadlineMs?: number;
}

/**
 * Repeats `check` until it neither throws nor returns false, and returns its result. At the deadline it rejects with
 * the last failure as the cause. Use it only if there is no event to wait for.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { deadlineMs = DEFAULT_DEADLINE_MS }: EventuallyOptions = {},
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    try {
      const answer = await check();
      if (answer !== false) return answer;
      failure = new Error('the check returned false');
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadline) {
      const last = failure instanceof Error ? failure.message : String(failure);
      throw new Error(`not within ${deadlineMs} ms: ${last}`, { cause: failure });
    }
    await sleep(INTERVAL_MS);
  }
}
