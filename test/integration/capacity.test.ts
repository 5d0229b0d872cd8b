import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OwnedProcess, startProcess, WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';

const CAPACITY = [WORKSPACE_NODE, 'test/capacity/main.ts'];
/** How late it comes is not what these tests are about. */
const SMALL = {
  TARGET_CONNECTIONS: '60',
  RAMP_RATE: '200',
  DURATION: '3',
  PUBLISH_RATE: '100',
  MAX_P99_MS: '30000',
};

/** What a run starts, by what is in the command. */
const PARTS = ['services/edge', 'redis-server', 'publisher-process', 'load-process'];

/** Longer than a small run takes, in ms. */
const RUN_DEADLINE_MS = 40_000;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capacity-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('npm run capacity', () => {
  it('loads an edge that it starts, also with offsets and clients that read nothing, and reports', async () => {
    await using run = await start(CAPACITY, { ...SMALL, HISTORY_SIZE: '50', STALLED_SHARE: '0.1' });
    const { code } = await ended(run);
    expect({ code, output: run.output.join('\n') }).toMatchObject({ code: 0 });
    const data = (await readdir(folder)).find((name) => name.endsWith('.json')) as string;
    const { published, verdict, totals } = JSON.parse(await readFile(join(folder, data), 'utf8'));
    expect(published.total).toBeGreaterThan(250);
    expect(published.refused).toBe(0);
    expect(verdict.steady).toMatchObject({ connections: 54, exact: 54, missing: 0 });
    expect(totals.subscribed).toBe(60);
  });

  it('publishes nothing when not one client gets connected, and says why', async () => {
    await using redis = await startRedis();
    const dead = { TARGET_URLS: 'ws://127.0.0.1:1/ws', REDIS_URL: redis.url };
    await using run = await start(CAPACITY, { ...SMALL, ...dead, DURATION: '3000' });
    const { code } = await ended(run);
    expect(code).toBe(1);
    expect(run.output.join('\n')).toMatch(/not one client got subscribed.*60 × ECONNREFUSED/);
    expect(await readdir(folder)).toEqual([]);
  });

  // Only Linux tells whose children they are once their parents are gone.
  it.runIf(process.platform === 'linux')(
    'ends with the npm that started it, and all that it started with it',
    async () => {
      const long = { ...SMALL, DURATION: '3000' };
      await using run = await start(['npm', 'run', '-s', 'capacity'], long);
      let started: readonly Started[] = [];
      await eventually(
        async () => {
          started = await descendantsOf(run.pid);
          return PARTS.every((part) => started.some(({ command }) => command.includes(part)));
        },
        { deadlineMs: RUN_DEADLINE_MS },
      );
      run.signal('SIGTERM');
      try {
        await eventually(async () => (await stillThere(started)).length === 0, {
          deadlineMs: 10_000,
        });
      } finally {
        for (const { pid } of await stillThere(started)) process.kill(pid, 'SIGKILL');
      }
    },
  );
});

async function start(
  command: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<OwnedProcess> {
  const [program, ...args] = command as [string, ...string[]];
  const { PATH, HOME } = process.env;
  return await startProcess({
    name: 'capacity',
    command: program,
    args,
    env: { PATH, HOME, RESULTS_DIR: folder, ...variables },
    cwd: WORKSPACE_ROOT,
  });
}

async function ended(run: OwnedProcess) {
  const late = setTimeout(() => run.signal('SIGKILL'), RUN_DEADLINE_MS);
  return await run.exited.finally(() => clearTimeout(late));
}

/** A process, and what it was started as. */
interface Started {
  readonly pid: number;
  readonly command: string;
}

async function descendantsOf(ancestor: number): Promise<readonly Started[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Map(
    await Promise.all(pids.map(async (pid) => [pid, await parentOf(pid)] as const)),
  );
  const descends = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === ancestor || descends(parents.get(pid)));
  const found = pids.filter((pid) => descends(parents.get(pid)));
  return await Promise.all(found.map(async (pid) => ({ pid, command: await commandOf(pid) })));
}

/** Those that have not ended; a process that only waits for its parent has no command any more. */
async function stillThere(started: readonly Started[]): Promise<readonly Started[]> {
  const commands = await Promise.all(started.map(({ pid }) => commandOf(pid)));
  return started.filter(({ command }, i) => command !== '' && commands[i] === command);
}

async function commandOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}

async function parentOf(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, parent] = /^PPid:\s*(\d+)$/m.exec(status) ?? [];
  return parent === undefined ? undefined : Number(parent);
}
