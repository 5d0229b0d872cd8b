import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The core that the server under test has to itself. */
export const SERVER_CORE = 0;

/** The core of everything else: load, publisher, Redis and whoever started them. */
export const LOAD_CORE = 1;

/** A command line that runs on the server's core alone. */
export function onServerCore(command: readonly string[]): readonly string[] {
  return ['taskset', '--cpu-list', String(SERVER_CORE), ...command];
}

/**
 * Moves this process, and with it all that it starts from here on, to the load's core.
 *
 * @throws Error where processes cannot be pinned: then nothing here would mean anything.
 */
export async function moveToLoadCore(): Promise<void> {
  await moveToCore(process.pid, LOAD_CORE);
}

/** Moves a process that runs, with all of its threads, to one core. Throws as above. */
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
