import { setTimeout as sleep } from 'node:timers/promises';

/** How often a check is repeated, in ms. */
const INTERVAL_MS = 20;

/** How long to wait for what should happen at once, in ms; slow machines included. */
const DEFAULT_DEADLINE_MS = 15_000;

export interface EventuallyOptions {
  readonly deadlineMs?: number;
}

/**
 * Repeats `check` until it neither throws nor answers false, and returns its answer. At the
 * deadline it rejects with the last failure as the cause. For what can only be asked for; what can
 * be listened to is better listened to.
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
      failure = new Error('the check answered false');
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
