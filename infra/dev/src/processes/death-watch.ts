import { spawn } from 'node:child_process';

export interface DeathWatch {
  /** Ends the watch, because what it guards is gone. */
  end(): void;
}

/**
 * Runs `command` if this process dies without calling `end`, even by SIGKILL. A shell waits at the other end of a pipe that
 * only this process holds open; the kernel closes the pipe when the process dies. The shell has a process group of its own,
 * so that Ctrl-C does not end it first. The command may be a builtin of the shell, as `kill` is on slim systems. On
 * Windows, which has no `sh`, nothing is watched.
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
