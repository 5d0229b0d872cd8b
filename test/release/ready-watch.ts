import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceGroup } from './instance-group.ts';

/** How often the machines are asked, in ms. */
const EVERY_MS = 100;

/** What was seen of a group's capacity. */
export interface ReadyCounts {
  /** The fewest machines that were ready at once. */
  readonly least: number;
  readonly most: number;
  readonly looks: number;
}

/** Looks again and again at how many machines are ready. */
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
