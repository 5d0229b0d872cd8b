import { readdirSync, readFileSync } from 'node:fs';

/** The CPU time that a thread has used since it started. */
export interface ThreadCpu {
  /** `main`, or the name that a fan-out worker was given: `fan-out 0`. */
  readonly thread: string;
  readonly seconds: number;
}

/** The name of the thread of a fan-out worker, for operators and for {@link readThreadCpu}. */
export function fanOutThreadName(slot: number): string {
  return `fan-out ${slot}`;
}

/** The unit of CPU times that the kernel prints, on every architecture (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** The kernel's folder for the threads of this process. It holds a folder for each thread, named by its id. */
const TASKS = '/proc/self/task';

/** The name may hold spaces and parentheses, so it ends at the last one. */
const STAT = /^(\d+) \((.*)\) (.*)$/s;

/** `utime` and `stime` among the fields that follow the name (fields 14 and 15 of proc(5)). */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

const FAN_OUT_THREAD = /^fan-out \d+$/;

/**
 * The CPU time of every thread that runs our JavaScript: the main thread and the fan-out workers. The kernel is asked and not the
 * thread, because the thread that matters is the one that is too busy to answer. On a system without `/proc` there are no workers
 * (`EDGE_WORKERS`), only the main thread.
 */
export function readThreadCpu(): readonly ThreadCpu[] {
  if (process.platform !== 'linux') {
    const { user, system } = process.threadCpuUsage();
    return [{ thread: 'main', seconds: (user + system) / 1e6 }];
  }
  return readdirSync(TASKS).flatMap((id) => {
    const stat = statOf(id);
    return stat === undefined ? [] : (parseThreadStat(stat, process.pid) ?? []);
  });
}

/** A thread that has just ended is no error. */
function statOf(id: string): string | undefined {
  try {
    return readFileSync(`${TASKS}/${id}/stat`, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Reads a line of `/proc/PID/task/TID/stat`. Undefined for a thread that is not ours (those of V8 and libuv), and for
 * anything that is not such a line.
 */
export function parseThreadStat(stat: string, processId: number): ThreadCpu | undefined {
  const [, id, name = '', rest = ''] = STAT.exec(stat) ?? [];
  const isMain = Number(id) === processId;
  if (!isMain && !FAN_OUT_THREAD.test(name)) return undefined;
  const fields = rest.split(' ');
  const ticks = Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
  return { thread: isMain ? 'main' : name, seconds: ticks / TICKS_PER_SECOND };
}
