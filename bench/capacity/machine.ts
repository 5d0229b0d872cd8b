import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem, type } from 'node:os';
import { promisify } from 'node:util';
import { RELEASE } from '@tradewind/runtime';

/** The machine on which a run took place. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
}

export function describeMachine(): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
  };
}

/** The version in the folder, and its commit, marked if files differ from it; only the version where git does not answer. */
export async function describeRelease(folder: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(
      'git',
      ['describe', '--always', '--dirty=, with changes', '--exclude=*', '--abbrev=12'],
      { cwd: folder },
    );
    return `${RELEASE}, commit ${stdout.trim()}`;
  } catch {
    return RELEASE;
  }
}

/** How many files a process may open here; undefined if the system does not say. */
export async function openFilesLimit(): Promise<number | undefined> {
  try {
    const limits = await readFile('/proc/self/limits', 'utf8');
    // Node raises the soft limit to the hard one when it starts.
    const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
    return hard === undefined ? undefined : Number(hard);
  } catch {
    return undefined;
  }
}

/** Work and rest of all cores together since boot, in ms. */
export interface CoreTimes {
  readonly busy: number;
  readonly idle: number;
}

export function readCoreTimes(): CoreTimes {
  let busy = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    busy += times.user + times.nice + times.sys + times.irq;
    idle += times.idle;
  }
  return { busy, idle };
}

/** Returns how many cores were busy on average between two readings. */
export function coresBusy(before: CoreTimes, after: CoreTimes, cores: number): number {
  const busy = after.busy - before.busy;
  const all = busy + after.idle - before.idle;
  return all === 0 ? 0 : (busy / all) * cores;
}
