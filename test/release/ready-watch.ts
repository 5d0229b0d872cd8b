import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceGroup } from './instance-group.ts';

/** The interval at which the machines are checked, in ms. */
const EVERY_MS = 100;

/** A group's capacity over a time. */
export interface ReadyCounts {
  /** The fewest machines that were ready at once. */
  readonly least: number;
  readonly most: number;
  readonly looks: number;
}

/** Repeatedly counts the machines that are ready. */
export interface ReadyWatch {
  stop(): Promise<ReadyCounts>;
}

export function watchReady(group: InstanceGroup): ReadyWatch {
  const running = new AbortController();
  const counts: number[] = [];
  const done = (async () => {
    while (!running.signal.aborted) {
      counts.push(await group.countReady());
      await sleep(EVERY_MS);
    }
  })();
  return {
    async stop() {
      running.abort();
      await done;
      return { least: Math.min(...counts), most: Math.max(...counts), looks: counts.length };
    },
  };
}
