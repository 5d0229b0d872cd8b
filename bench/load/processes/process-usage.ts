import { readdir, readFile } from 'node:fs/promises';

/** The unit of CPU times in /proc, by the ABI of every platform that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time spent so far, in s, to 10 ms. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
}

export interface ThreadUsage extends CpuTime {
  readonly id: number;
  readonly name: string;
}

export interface MemoryUsage {
  /** Proportional set size in bytes: each process gets its share of memory that several use. */
  readonly pssBytes: number;
  /** The part of it that belongs to no file, in bytes: heaps, buffers and stacks, but not the pages of programs. */
  readonly anonymousBytes: number;
  readonly rssBytes: number;
}

/** Whether this system reports what other processes use; only Linux does, in /proc. */
export const CAN_READ_PROCESS_USAGE = process.platform === 'linux';

/** CPU time of a process, with its ended threads. Rejects if it has ended. */
export async function readCpuTime(pid: number): Promise<CpuTime> {
  const { user, system } = parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
  return { user, system };
}

/** CPU time of each thread of a process. Rejects if the process has ended. */
export async function readThreads(pid: number): Promise<readonly ThreadUsage[]> {
  const ids = await readdir(`/proc/${pid}/task`);
  const threads = await Promise.all(
    ids.map(async (id) => {
      try {
        const text = await readFile(`/proc/${pid}/task/${id}/stat`, 'utf8');
        return [{ id: Number(id), ...parseStat(text) }];
      } catch {
        return [];
      }
    }),
  );
  return threads.flat();
}

/**
 * Memory of a process. The kernel walks all of its pages for this, which takes some ms for each GB, so do not read it
 * every second. Rejects if the process has ended or belongs to someone else.
 */
export async function readMemory(pid: number): Promise<MemoryUsage> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kilobytes = (field: string): number =>
    Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return {
    pssBytes: kilobytes('Pss') * 1024,
    anonymousBytes: kilobytes('Pss_Anon') * 1024,
    rssBytes: kilobytes('Rss') * 1024,
  };
}

/** Reads a line of /proc/PID/stat: `pid (name) state …`. The name may hold spaces and brackets. */
export function parseStat(text: string): CpuTime & { readonly name: string } {
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  return {
    name: text.slice(text.indexOf('(') + 1, nameEnd),
    user: Number(fields[11]) / TICKS_PER_SECOND,
    system: Number(fields[12]) / TICKS_PER_SECOND,
  };
}
