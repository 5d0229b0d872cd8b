import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';

/** How long more than a limit allows is offered, in ms. */
export const OFFERED_MS = Number(process.env.LIMITS_SECONDS ?? 3) * 1_000;

/** The offered rate as a multiple of the limit. */
export const TIMES = 3;

/** The largest difference between the accepted number and the rate times the time, as a share. */
const TOLERANCE = 0.05;

/** Calls `each` `perSecond` times a second, late calls included, for {@link OFFERED_MS}. */
export async function offer(perSecond: number, each: (number: number) => void): Promise<void> {
  const begun = performance.now();
  for (let offered = 0; ; ) {
    const elapsed = performance.now() - begun;
    if (elapsed > OFFERED_MS) return;
    for (; offered < (elapsed * perSecond) / 1_000; offered += 1) each(offered);
    await sleep(5);
  }
}

/**
 * @param slack an absolute allowance besides the tolerance.
 * @param least what was allowed while more was offered. Answers that come later on a busy machine belong to `allowed` alone.
 */
export function expectRate(
  accepted: number,
  allowed: number,
  slack: number,
  least = allowed,
): void {
  expect(accepted).toBeGreaterThanOrEqual(least * (1 - TOLERANCE) - slack);
  expect(accepted).toBeLessThanOrEqual(allowed * (1 + TOLERANCE) + slack);
}
