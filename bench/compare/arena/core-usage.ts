import { readFile } from 'node:fs/promises';

/** Ticks of each core since the machine started. */
type CoreTicks = ReadonlyMap<number, { readonly busy: number; readonly all: number }>;

/** The share of its time that a core was busy, from 0 to 1, by core number. */
export type CoreUsage = (core: number) => number;

/** Measures from now until the returned function is called. Linux only. */
export async function watchCores(): Promise<() => Promise<CoreUsage>> {
  const before = await readCores();
  return async () => {
    const after = await readCores();
    return (core) => {
      const from = before.get(core);
      const to = after.get(core);
      if (from === undefined || to === undefined) return Number.NaN;
      return (to.busy - from.busy) / Math.max(1, to.all - from.all);
    };
  };
}

async function readCores(): Promise<CoreTicks> {
  const lines = (await readFile('/proc/stat', 'utf8')).matchAll(/^cpu(\d+) (.*)$/gm);
  return new Map(
    Array.from(lines, ([, core, fields]) => {
      const ticks = (fields ?? '').split(' ').slice(0, 8).map(Number);
      const all = ticks.reduce((sum, value) => sum + value, 0);
      const [, , , idle = 0, waiting = 0] = ticks;
      return [Number(core), { busy: all - idle - waiting, all }];
    }),
  );
}
