/**
 * Run by worker-heap.test.ts in a process of its own. Lets objects survive by the hundred thousand, which makes a young
 * generation grow, and prints how large a half has become, in bytes. With the argument `worker` it does so in a
 * worker thread with the limits of a fan-out worker.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { isMainThread, Worker } from 'node:worker_threads';
import { WORKER_RESOURCE_LIMITS } from '../worker-heap.ts';

const SURVIVORS = 100_000;
const TURNS = 100;
const OBJECTS_PER_TURN = 20_000;

/** One collection may need more for a moment, so the smallest size of this many last turns counts. */
const TURNS_LOOKED_AT = 20;

async function grow(): Promise<number> {
  const survivors = new Array<object>(SURVIVORS);
  const sizes: number[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (let i = 0; i < OBJECTS_PER_TURN; i += 1) {
      survivors[(turn * OBJECTS_PER_TURN + i) % SURVIVORS] = { turn, pair: [turn, i] };
    }
    await nextTurn();
    sizes.push(halfBytes());
  }
  return Math.min(...sizes.slice(-TURNS_LOOKED_AT));
}

/** Of the young generation. `space_size` would count both halves, or one half while the other does not exist. */
function halfBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return space === undefined ? 0 : space.space_used_size + space.space_available_size;
}

if (isMainThread && process.argv[2] === 'worker') {
  new Worker(new URL(import.meta.url), { resourceLimits: WORKER_RESOURCE_LIMITS });
} else {
  process.stdout.write(`${await grow()}\n`);
}
