import { expect, it } from 'vitest';
import { ConnectionCount, createConnectionMemory } from './connection-count.ts';

it('sums all workers, and forgets a worker that has ended', () => {
  const memory = createConnectionMemory(2);
  const [first, second] = [new ConnectionCount(memory, 0), new ConnectionCount(memory, 1)];
  first.increment();
  second.increment();
  second.increment();
  expect([first.total, second.total]).toEqual([3, 3]);
  second.decrement();
  expect(first.total).toBe(2);
  first.reset(1);
  expect(second.total).toBe(1);
});
