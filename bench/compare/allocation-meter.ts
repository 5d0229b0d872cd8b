// Loaded into a process under test before its own code (`METERED`): says on SIGUSR2 what its main thread
// has allocated, and what the process has spent, since it started. The product knows nothing of it.
import { GCProfiler, getHeapStatistics } from 'node:v8';
import { isMainThread } from 'node:worker_threads';
import { allocatedBytes, collectionsOf, type MeterReading } from './allocation-count.ts';

if (isMainThread) {
  let profiler = new GCProfiler();
  let usedBytes = getHeapStatistics().used_heap_size;
  const sums = { heapBytes: 0, collections: 0, collectingMicros: 0 };
  let reading = 0;
  profiler.start();

  process.on('SIGUSR2', () => {
    const collections = collectionsOf(profiler.stop());
    const nowUsedBytes = getHeapStatistics().used_heap_size;
    profiler = new GCProfiler();
    profiler.start();
    sums.heapBytes += allocatedBytes(usedBytes, collections, nowUsedBytes);
    sums.collections += collections.length;
    for (const { micros } of collections) sums.collectingMicros += micros;
    usedBytes = nowUsedBytes;
    reading += 1;
    const { user, system } = process.cpuUsage();
    const told: MeterReading = { meterReading: reading, ...sums, cpuMicros: user + system };
    process.stderr.write(`${JSON.stringify(told)}\n`);
  });
}
