import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import type { ResourceLimits } from 'node:worker_threads';

const MIB = 1024 * 1024;

/**
 * How far each half of a thread's young generation may grow, in MiB. Left to itself V8 lets a half
 * grow to 64 MiB while clients connect, and gives none of it back while they then only wait: of the
 * 10.4 KB that each of 15,000 idle connections took, 6 KB were this. Smaller halves are collected
 * more often, and what survives two collections grows old: with 8 MiB, at a million deliveries a second, that was
 * whatever waited to be written for 100 ms, and each second or two the old generation had to be
 * collected too, which takes a core from the worker for 70 ms.
 */
const MOST_MIB = 16;

/** V8 counts the two halves and as much again for what is too large for them. */
const PARTS_OF_YOUNG_GENERATION = 3;

/** The bound for a worker thread: V8 takes it when the thread starts. */
export const WORKER_RESOURCE_LIMITS: ResourceLimits = {
  maxYoungGenerationSizeMb: PARTS_OF_YOUNG_GENERATION * MOST_MIB,
};

/** By how much V8 multiplies a half that survivors have filled: what it does by default, and not at all. */
const DOUBLE = 2;
const STAY = 1;

/** As much of V8 as the bound needs. */
export interface YoungGeneration {
  /** Tells of each collection in this thread, a moment after it. Returns what ends that. */
  watch(collected: () => void): () => void;
  /** How large a half is now, in bytes. */
  halfBytes(): number;
  /** By how much it is multiplied when it grows next. Holds for all threads of the process. */
  growBy(factor: number): void;
}

/**
 * The bound for the main thread, where V8 takes no limit once it runs, but reads before each growth
 * by how much. So it is looked at after each collection, the only time at which it grows. That comes
 * a moment late: a collection in the same loop turn may double it once more. V8 also makes it smaller
 * when little happens, and then it may grow again.
 *
 * The factor is the whole process's: not to be used beside worker threads, which have a limit.
 */
export class YoungGenerationBound {
  readonly #young: YoungGeneration;
  readonly #unwatch: () => void;
  #factor = DOUBLE;

  constructor(young: YoungGeneration = V8_YOUNG_GENERATION) {
    this.#young = young;
    this.#unwatch = young.watch(() => this.#adjust());
    this.#adjust();
  }

  /** Leaves it to V8 again. */
  stop(): void {
    this.#unwatch();
    this.#set(DOUBLE);
  }

  #adjust(): void {
    const grown = this.#young.halfBytes() * DOUBLE;
    this.#set(grown > MOST_MIB * MIB ? STAY : DOUBLE);
  }

  #set(factor: number): void {
    if (factor === this.#factor) return;
    this.#factor = factor;
    this.#young.growBy(factor);
  }
}

const V8_YOUNG_GENERATION: YoungGeneration = {
  watch(collected) {
    const observer = new PerformanceObserver(collected);
    observer.observe({ entryTypes: ['gc'] });
    return () => observer.disconnect();
  },
  halfBytes() {
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    // Its `space_size` counts both halves, or one while the other is not there.
    return space === undefined ? 0 : space.space_used_size + space.space_available_size;
  },
  growBy(factor) {
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  },
};
