import { evaluateInMain, type Inspectable } from '../../../test/support/services/inspector.ts';

/** CPU time of the turns of an edge's main thread, in ms. */
export interface Turns {
  readonly p99Ms: number;
  readonly longestMs: number;
}

/** The most turns that are kept; a storm has tens of thousands. */
const MAX_TURNS = 1_000_000;

/**
 * Runs in the edge. A turn is the CPU time of the thread between two looks, which are 1 ms apart at least, so what other processes take from
 * the machine does not count.
 */
const BEGIN = `(() => {
  const turns = new Float64Array(${MAX_TURNS});
  const watch = { turns, count: 0, isOn: true };
  globalThis.turnWatch = watch;
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  let last = cpuMs();
  const turn = () => {
    const now = cpuMs();
    if (watch.count < turns.length) turns[watch.count++] = now - last;
    last = now;
    if (watch.isOn) setTimeout(() => setImmediate(turn));
  };
  setImmediate(turn);
  return 0;
})()`;

const END = `(() => {
  const { turns, count } = globalThis.turnWatch;
  globalThis.turnWatch.isOn = false;
  const sorted = turns.subarray(0, count).sort();
  return { p99Ms: sorted[Math.floor(count * 0.99)], longestMs: sorted[count - 1] };
})()`;

/** Watches the turns of an edge that was started with `INSPECTABLE`, until the returned function is called. */
export async function watchTurns(edge: Inspectable): Promise<() => Promise<Turns>> {
  await evaluateInMain(edge, BEGIN);
  return async () => (await evaluateInMain(edge, END)) as Turns;
}
