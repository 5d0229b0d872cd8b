import type { GCProfilerResult } from 'node:v8';

/** A garbage collection: what was in use on the heap before and after it, and how long it took. */
export interface Collection {
  readonly beforeBytes: number;
  readonly afterBytes: number;
  readonly micros: number;
}

/** What a metered process has come to since it started. */
export interface MeterReading {
  /** Counts the readings, from 1. */
  readonly meterReading: number;
  /** What the main thread has allocated on its heap. */
  readonly heapBytes: number;
  readonly collections: number;
  readonly collectingMicros: number;
  /** CPU time of all threads, user and system. */
  readonly cpuMicros: number;
}

export function collectionsOf(result: GCProfilerResult): readonly Collection[] {
  return result.statistics.map(({ beforeGC, afterGC, cost }) => ({
    beforeBytes: beforeGC.heapStatistics.usedHeapSize,
    afterBytes: afterGC.heapStatistics.usedHeapSize,
    micros: cost,
  }));
}

/** What was allocated between two moments: by what the heap has grown, and what was collected of it. */
export function allocatedBytes(
  startBytes: number,
  collections: readonly Collection[],
  endBytes: number,
): number {
  let collected = 0;
  for (const { beforeBytes, afterBytes } of collections) collected += beforeBytes - afterBytes;
  return endBytes - startBytes + collected;
}
