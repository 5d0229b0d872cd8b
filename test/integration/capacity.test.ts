import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OwnedProcess, startProcess, WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';

const CAPACITY = [WORKSPACE_NODE, 'test/capacity/main.ts'];
const SMALL = { TARGET_CONNECTIONS: '60', RAMP_RATE: '200', DURATION: '3', PUBLISH_RATE: '100' };

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
      await eventually(async () => (await ours()).some(isPublisher), {
        deadlineMs: RUN_DEADLINE_MS,
      });
      run.signal('SIGTERM');
      await eventually(async () => (await ours()).length === 0, { deadlineMs: 10_000 });
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

/** Commands of processes that were started, directly or not, with the folder of this test in their environment. */
async function ours(): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const read = (pid: string, what: string) =>
    readFile(`/proc/${pid}/${what}`, 'utf8').catch(() => '');
  const commands = await Promise.all(
    pids.map(async (pid) => {
      const environment = await read(pid, 'environ');
      return environment.includes(`RESULTS_DIR=${folder}`) ? await read(pid, 'cmdline') : '';
    }),
  );
  return commands.filter((command) => command !== '');
}

function isPublisher(command: string): boolean {
  return command.includes('publisher-process');
}
