import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * How long one turn of the event loop may be busy with what concerns many clients and is not the delivery of
 * publications, in ms. What is left goes on in the next turn: publications and requests that come in meanwhile wait for no
 * more than this.
 */
export const TURN_BUDGET_MS = 1;

/** The moment at which a turn that begins now has used its budget up, in ms on the monotonic clock. */
export function endOfBudget(): number {
  return performance.now() + TURN_BUDGET_MS;
}

/** Acts on each item in order, on as many in a turn as its budget allows, but one at least. */
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
