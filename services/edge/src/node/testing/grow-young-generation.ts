/**
 * Run by young-generation.test.ts in a process of its own: lets objects survive by the hundred
 * thousand, which is what makes a young generation grow, and prints how large a half has become, in
 * bytes. With the argument `bound` it is bounded, with `worker` it is that of a limited worker.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { isMainThread, Worker } from 'node:worker_threads';
import { WORKER_RESOURCE_LIMITS, YoungGenerationBound } from '../young-generation.ts';

const SURVIVORS = 100_000;
const TURNS = 100;
const OBJECTS_PER_TURN = 20_000;

/** One collection may have to take more for a moment: the least of so many last turns counts. */
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

function halfBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return space === undefined ? 0 : space.space_used_size + space.space_available_size;
}

const kind = isMainThread ? process.argv[2] : 'in the worker';
if (kind === 'worker') {
  new Worker(new URL(import.meta.url), { resourceLimits: WORKER_RESOURCE_LIMITS });
} else {
  const bound = kind === 'bound' ? new YoungGenerationBound() : undefined;
  process.stdout.write(`${await grow()}\n`);
  bound?.stop();
}
