import { setTimeout as sleep } from 'node:timers/promises';

/** How long a test waits for what should come at once, in ms; slow machines included. */
const DEFAULT_DEADLINE_MS = 10_000;

/** For tests over real sockets, in ms: longer than the waits in them, so that these can say what failed. */
export const TIMEOUT_MS = 30_000;

/** How often the condition is looked at, in ms. */
const INTERVAL_MS = 5;

/** Resolves when `condition` holds; rejects at the deadline, saying what was waited for. */
export async function until(
  condition: () => boolean,
  what: string,
  deadlineMs = DEFAULT_DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() >= deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await sleep(INTERVAL_MS);
  }
}
