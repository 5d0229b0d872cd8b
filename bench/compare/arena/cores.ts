import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The core that only the server under test uses. */
export const SERVER_CORE = 0;

/** The core of everything else: load, publisher, Redis and this program. */
export const LOAD_CORE = 1;

/** Returns the command line that runs a command on the server's core alone. */
export function onServerCore(command: readonly string[]): readonly string[] {
  return ['taskset', '--cpu-list', String(SERVER_CORE), ...command];
}

/**
 * Moves this process, and all processes that it starts afterwards, to the load's core.
 *
 * @throws Error if processes cannot be pinned, because results would then mean nothing.
 */
export async function moveToLoadCore(): Promise<void> {
  await moveToCore(process.pid, LOAD_CORE);
}

/**
 * Moves a running process with all its threads to one core.
 *
 * @throws Error if processes cannot be pinned.
 */
export async function moveToCore(pid: number, core: number): Promise<void> {
  try {
    await promisify(execFile)('taskset', [
      '--all-tasks',
      ...['--pid', '--cpu-list', String(core), String(pid)],
    ]);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`the benchmark needs Linux, taskset and two cores: ${message.trim()}`);
  }
}
