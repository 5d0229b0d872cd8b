/**
 * Run by departures.test.ts in a process and in a worker thread: collects the old generation of its thread,
 * then the young one, and tells its parent what came of it.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { V8_OLD_GENERATION } from '../departures.ts';

interface CollectionEntry {
  readonly detail?: { readonly kind?: number };
}

/** Kinds of all collections, as they are told. */
const kinds: (number | undefined)[] = [];
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) kinds.push((entry as CollectionEntry).detail?.kind);
});
observer.observe({ entryTypes: ['gc'] });

let told = 0;
const unwatch = V8_OLD_GENERATION.watch(() => {
  told += 1;
});

/** Whoever asks for the collection waits for both observers; the parent has a deadline. */
async function untilTold(kind: number, collect: () => void): Promise<number> {
  const [before, from] = [told, kinds.length];
  collect();
  while (!kinds.slice(from).includes(kind)) await nextTurn();
  await nextTurn();
  return told - before;
}

function createGarbage(): WeakRef<object> {
  return new WeakRef({ large: Buffer.alloc(1024) });
}

const garbage = createGarbage();
await nextTurn();
const toldOfMajor = await untilTold(constants.NODE_PERFORMANCE_GC_MAJOR, () => {
  V8_OLD_GENERATION.collect();
});
const isCollected = garbage.deref() === undefined;
const collectGarbage = runInNewContext('gc') as NodeJS.GCFunction;
const toldOfMinor = await untilTold(constants.NODE_PERFORMANCE_GC_MINOR, () => {
  collectGarbage({ type: 'minor' });
});
unwatch();
observer.disconnect();

const found = { isCollected, toldOfMajor, toldOfMinor };
if (parentPort === null) process.send?.(found);
else parentPort.postMessage(found);
