import type { ResourceLimits } from 'node:worker_threads';

/**
 * The most that each half of a thread's young generation may grow to, in MiB. The main thread gets the same bound from
 * `--max-semi-space-size`, which the unit, the image and `npm start` set. Without a bound V8 lets a half grow to
 * 64 MiB while clients connect and keeps that while they wait: of the 10.4 KB that each of 15,000 idle connections
 * took, 6 KB were this. A smaller half makes more objects old: with 8 MiB, at a million deliveries a second, V8 had to
 * collect the old generation every second or two, and each time the worker lost a core for 70 ms.
 */
export const YOUNG_HALF_MIB = 16;

/** V8 counts the two halves, and as much as one more for objects that are too large for them. */
const PARTS_OF_YOUNG_GENERATION = 3;

/** The bound as V8 takes it when a worker thread starts. */
export const WORKER_RESOURCE_LIMITS: ResourceLimits = {
  maxYoungGenerationSizeMb: PARTS_OF_YOUNG_GENERATION * YOUNG_HALF_MIB,
};
