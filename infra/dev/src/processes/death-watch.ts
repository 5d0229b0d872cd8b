import { spawn } from 'node:child_process';

export interface DeathWatch {
  /** Calls the watch off: what it guarded is gone. */
  end(): void;
}

/**
 * Has `command` run when this process dies without calling `end`, even by SIGKILL. A waiting shell
 * holds the other end of a pipe that only we hold open; the kernel closes it for us. It has a
 * process group of its own, so that a Ctrl-C does not end it before us. The command may be a
 * builtin of the shell, as `kill` is where a slim system has no such program. On Windows, which has
 * no `sh`, nothing is watched.
 */
export function watchForOurDeath(command: string, args: readonly string[]): DeathWatch {
  if (process.platform === 'win32') return { end() {} };
  const shell = spawn(
    'sh',
    ['-c', 'read -r _; "$@" 2>/dev/null', 'death-watch', command, ...args],
    {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  );
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  return {
    end() {
      shell.kill('SIGKILL');
      shell.stdin.destroy();
    },
  };
}
