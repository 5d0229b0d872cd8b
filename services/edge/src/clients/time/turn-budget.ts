import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * How long one turn of the event loop may spend on work for many clients that is not delivery, in ms. The rest of the work
 * follows in the next turn. So publications and requests that arrive meanwhile wait no longer than that.
 */
export const TURN_BUDGET_MS = 1;

/** When a turn that begins now has used up its budget, in ms on the monotonic clock. */
export function endOfBudget(): number {
  return performance.now() + TURN_BUDGET_MS;
}

/** Acts on each item in order. A turn handles as many as its budget allows, and at least one. */
export async function inTurns<T>(items: Iterable<T>, act: (item: T) => void): Promise<void> {
  let until = endOfBudget();
  for (const item of items) {
    if (performance.now() >= until) {
      await nextTurn();
      until = endOfBudget();
    }
    act(item);
  }
}
