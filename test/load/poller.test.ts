import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { eventually } from '../support/wait.ts';
import { Poller } from './poller.ts';

it('looks for a while after data has come, counts what was in vain, and stops', async () => {
  const poller = new Poller();
  expect(poller.takeIdleMs()).toBe(0);
  poller.came();
  let idleMs = 0;
  await eventually(
    () => {
      idleMs += poller.takeIdleMs();
      return idleMs >= 1;
    },
    { deadlineMs: 1_000 },
  );
  await turn();
  await turn();
  poller.takeIdleMs();
  await turn();
  await turn();
  expect(poller.takeIdleMs()).toBe(0);
});
