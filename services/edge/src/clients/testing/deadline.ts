import { setTimeout as sleep } from 'node:timers/promises';

/** How long a test waits for an event that should come at once, in ms, on a slow machine too. */
const DEFAULT_DEADLINE_MS = 30_000;

/** For tests over real sockets, in ms: longer than the waits in them, so that these can say what failed. */
export const TIMEOUT_MS = 30_000;

/** The interval between looks at the condition, in ms. */
const INTERVAL_MS = 5;

/** Resolves when `condition` holds. Rejects at the deadline with the name of what it waited for. */
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
