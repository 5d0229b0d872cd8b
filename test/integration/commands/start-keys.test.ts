import { type ChildProcess, spawn } from 'node:child_process';
import { findProgram, WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { describe, expect, it } from 'vitest';
import { freeStartPorts } from '../../support/services/npm-start.ts';
import { eventually } from '../../support/suite/wait.ts';

const DEADLINE_MS = 60_000;
const TEST_DEADLINE_MS = 150_000;

/** Copies between its own streams and a terminal that it makes for the command. */
const TERMINAL = 'import pty, sys; pty.spawn(sys.argv[1:])';

/** Runs a command on a terminal of 80 by 24, then says how it ended and how the terminal is set. */
const SCRIPT = 'stty rows 24 cols 80; "$@"; echo "ended with $?"; stty -a';

/** `npm start` on a terminal. */
class Terminal implements AsyncDisposable {
  /** Everything that was written to the terminal. */
  text = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;

  constructor(env: NodeJS.ProcessEnv, command: readonly string[]) {
    const args = ['-c', TERMINAL, 'sh', '-c', SCRIPT, 'sh', ...command];
    this.#child = spawn('python3', args, { cwd: WORKSPACE_ROOT, env, stdio: 'pipe' });
    this.#child.stdout?.on('data', (data) => {
      this.text += String(data);
    });
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  async shows(pattern: RegExp): Promise<void> {
    await eventually(() => pattern.test(this.text), { deadlineMs: DEADLINE_MS });
  }

  press(key: string): void {
    this.#child.stdin?.write(key);
  }

  /** Resolves when everything has ended. */
  async closed(): Promise<void> {
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.destroy();
    this.#child.kill('SIGHUP');
    await this.#closed;
  }
}

async function open(skip: (why: string) => void): Promise<Terminal> {
  if ((await findProgram(['python3'])) === undefined) skip('there is no python3 here');
  const { REDIS_URL: _, NO_COLOR: __, ...rest } = process.env;
  const env = { ...rest, TERM: 'xterm-256color', ...(await freeStartPorts()) };
  const terminal = new Terminal(env, [WORKSPACE_NODE, 'infra/dev/bootstrap.mjs', 'start']);
  await terminal.shows(/1[0-9]{2} published/);
  return terminal;
}

/** A terminal that reads lines and shows what is typed. */
const USUAL_MODE = /(?<!-)\bicanon\b[\s\S]*(?<!-)\becho\b/;

describe('the live view', { timeout: TEST_DEADLINE_MS }, () => {
  it('kills a node at k, shows that its clients lost nothing, and leaves the terminal as it was', async ({
    skip,
  }) => {
    await using terminal = await open(skip);
    expect(terminal.text).toContain('\x1b[32m✓ ');
    terminal.press('k');
    await terminal.shows(/edge-1 killed/);
    await terminal.shows(/3 clients to edge-2 in [\d.]+ s: recovered \d+, lost 0/);
    terminal.press('b');
    await terminal.shows(/a burst of 2,000 trades/);
    terminal.press('f');
    await terminal.shows(/■ frozen/);
    await terminal.shows(/Redis goes on/);
    terminal.press('q');
    await terminal.shows(/stty|icanon/);
    await terminal.closed();
    const [, after = ''] = terminal.text.split('\x1b[?1049l');
    expect(after).toMatch(/^Tradewind ran for \d+:\d\d: ✓ [\d,]+ published, 0 lost, 0 doubled/);
    expect(after).toContain('ended with 0');
    expect(after).toMatch(USUAL_MODE);
  });

  it('ends at Ctrl-C, which is a key like others there', async ({ skip }) => {
    await using terminal = await open(skip);
    terminal.press('\x03');
    await terminal.shows(/ended with 0/);
    await terminal.closed();
    expect(terminal.text.split('\x1b[?1049l')[1]).toMatch(USUAL_MODE);
  });
});
