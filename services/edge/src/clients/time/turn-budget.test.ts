import { expect, it } from 'vitest';
import { inTurns, TURN_BUDGET_MS } from './turn-budget.ts';

const ITEMS = 50;

/** Works until the budget of a whole turn is used up. */
function dawdle(): void {
  const until = performance.now() + TURN_BUDGET_MS;
  while (performance.now() < until);
}

it('acts on each item once and in order, and lets other work run in between', async () => {
  const items = Array.from({ length: ITEMS }, (_, i) => i);
  const done: number[] = [];
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await inTurns(items, (item) => {
    done.push(item);
    dawdle();
  });
  isOver = true;
  expect(done).toEqual(items);
  expect(turns).toBeGreaterThanOrEqual(ITEMS - 1);
});

it('allows the items to change meanwhile', async () => {
  const items = new Set([1, 2, 3]);
  const done: number[] = [];
  await inTurns(items, (item) => {
    done.push(item);
    items.delete(2);
    if (item < 5) items.add(item + 3);
    dawdle();
  });
  expect(done).toEqual([1, 3, 4, 6, 7]);
});
