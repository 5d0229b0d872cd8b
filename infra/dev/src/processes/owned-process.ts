import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { watchForOurDeath } from './death-watch.ts';

/** Lines of output that are kept for an error message. */
const TAIL_LINES = 2_000;

/** Characters kept of one line. */
const MAX_LINE_LENGTH = 8_192;

/** Lines of the tail that an error shows. */
const ERROR_LINES = 30;

/** How long a process may take to end after SIGTERM before it is killed, in ms. */
const DEFAULT_GRACE_MS = 10_000;

/** How a process ended: by an exit code or by a signal. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface OwnedProcessOptions {
  /** Its name in errors and reports. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment, not additions to ours. */
  readonly env: NodeJS.ProcessEnv;
  /** The working directory; undefined for ours. */
  readonly cwd: string | undefined;
}

/**
 * A child process that never outlives its owner: `stop` ends it, or a watcher kills it when this process dies. It has a
 * process group of its own, so that Ctrl-C in a terminal reaches only the owner, which decides the order of ending.
 */
export interface OwnedProcess extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Settles when it has ended; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Its latest lines on stdout and stderr, oldest first, at most 2,000. Live; do not change it. */
  readonly output: readonly string[];
  /**
   * Waits for a line for which `match` returns anything but undefined; earlier lines count. Rejects with the end of the
   * process' output if the process ends first, or after `deadlineMs`.
   */
  waitForLine<T>(match: (line: string) => T | undefined, deadlineMs: number): Promise<T>;
  /** Sends a signal; does nothing if the process has ended. */
  signal(signal: NodeJS.Signals): void;
  /** Sends SIGTERM, also to a frozen process, and SIGKILL after `graceMs`. Resolves when the process has ended. */
  stop(graceMs?: number): Promise<ProcessExit>;
}

/** Starts a process. Rejects if the command cannot be run. */
export async function startProcess(options: OwnedProcessOptions): Promise<OwnedProcess> {
  const child = spawn(options.command, [...options.args], {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await once(child, 'spawn');
  return own(options.name, child, child.pid!);
}

function own(name: string, child: ChildProcess, pid: number): OwnedProcess {
  const output: string[] = [];
  const listeners = new Set<(line: string) => void>();
  const watch = watchForOurDeath('kill', ['-KILL', String(pid)]);

  function take(line: string): void {
    const kept = line.slice(0, MAX_LINE_LENGTH);
    if (output.push(kept) > TAIL_LINES) output.splice(0, output.length - TAIL_LINES);
    for (const listener of listeners) listener(kept);
  }
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', take);
  }

  let ended = false;
  child.once('exit', () => {
    ended = true;
    watch.end();
  });
  /** `close` instead of `exit`, because at `close` all of its output has been read. */
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });

  function signal(wanted: NodeJS.Signals): void {
    if (!ended) child.kill(wanted);
  }

  async function stop(graceMs = DEFAULT_GRACE_MS): Promise<ProcessExit> {
    signal('SIGTERM');
    signal('SIGCONT');
    const timer = setTimeout(() => signal('SIGKILL'), graceMs);
    try {
      return await exited;
    } finally {
      clearTimeout(timer);
    }
  }

  function waitForLine<T>(match: (line: string) => T | undefined, deadlineMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      function settle(): void {
        clearTimeout(timer);
        listeners.delete(look);
      }
      function look(line: string): void {
        const found = match(line);
        if (found === undefined) return;
        settle();
        resolve(found);
      }
      function fail(why: string): void {
        settle();
        const tail = output.slice(-ERROR_LINES).join('\n');
        reject(new Error(`${name} ${why}${tail ? `; its last output:\n${tail}` : ''}`));
      }
      const timer = setTimeout(() => fail(`did not get ready within ${deadlineMs} ms`), deadlineMs);
      listeners.add(look);
      for (const line of [...output]) look(line);
      exited.then(({ code, signal: by }) => {
        if (listeners.has(look)) fail(`ended with ${by ?? `exit code ${code}`}`);
      });
    });
  }

  return {
    name,
    pid,
    exited,
    output,
    waitForLine,
    signal,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}
