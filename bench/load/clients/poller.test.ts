import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { eventually } from '../../../test/support/suite/wait.ts';
import { Poller } from './poller.ts';

it('looks for a while after data has come, counts the time spent in vain, and stops', async () => {
  const poller = new Poller();
  expect(poller.takeIdleMs()).toBe(0);
  let idleMs = 0;
  await eventually(
    () => {
      // Each time it looks for a ms. This thread has the core for that time unless others take it.
      poller.came();
      idleMs += poller.takeIdleMs();
      return idleMs >= 1;
    },
    { deadlineMs: 10_000 },
  );
  // It stops a ms after the last data. Without the stop it would take all of the core that nobody else uses.
  await eventually(async () => {
    poller.takeIdleMs();
    await sleep(50);
    return poller.takeIdleMs() === 0;
  });
});

it('does not count looks that found something', async () => {
  const poller = new Poller();
  const until = performance.now() + 100;
  while (performance.now() < until) {
    poller.came();
    await turn();
  }
  // One look in vain may lie between the last turn and the count, and the kernel may count by ticks of 10 ms.
  expect(poller.takeIdleMs()).toBeLessThan(25);
});

it('does not count the time in which the core did something else', async () => {
  const poller = new Poller();
  poller.came();
  await turn();
  // The thread sleeps, as if another process had the core.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  await turn();
  await turn();
  expect(poller.takeIdleMs()).toBeLessThan(25);
});
