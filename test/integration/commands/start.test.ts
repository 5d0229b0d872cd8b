import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { TcpFaultProxy } from '../../support/faults/tcp-fault-proxy.ts';
import { startRedis } from '../../support/redis/redis.ts';
import { freeStartPorts } from '../../support/services/npm-start.ts';

const run = promisify(execFile);

/** Round trip to a Redis in another region, in ms; 15 ms one way made a start fail once. */
const FAR_AWAY_MS = 100;

it('npm start runs with a Redis that is far away', async () => {
  await using redis = await startRedis();
  await using proxy = await TcpFaultProxy.start({
    host: redis.host,
    port: redis.port,
    speaks: 'bytes',
  });
  using _ = proxy.impose({ delayMs: FAR_AWAY_MS });
  const env = { ...process.env, ...(await freeStartPorts()), REDIS_URL: proxy.url };
  const { stdout } = await run(WORKSPACE_NODE, ['infra/dev/src/start.ts', '--seconds', '2'], {
    cwd: WORKSPACE_ROOT,
    env,
    timeout: 110_000,
  });
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, missing: 0, duplicates: 0 });
});

it('pnpm install --frozen-lockfile works by hand, on the files in git', async () => {
  const { stdout } = await run('git', ['ls-files', '*package.json', 'pnpm-*'], {
    cwd: WORKSPACE_ROOT,
  });
  const files = stdout.trim().split('\n');
  const folder = await mkdtemp(join(tmpdir(), 'tradewind-install-'));
  try {
    for (const file of files) {
      await cp(join(WORKSPACE_ROOT, file), join(folder, file), { recursive: true });
    }
    const { packageManager } = (
      await import(join(WORKSPACE_ROOT, 'package.json'), { with: { type: 'json' } })
    ).default;
    // All packages are in npm's cache and pnpm's store, because this workspace was installed from them.
    const args = [
      '--yes',
      '--prefer-offline',
      packageManager,
      'install',
      '--frozen-lockfile',
      '--ignore-scripts',
    ];
    await expect(run('npx', [...args, '--prefer-offline'], { cwd: folder })).resolves.toBeDefined();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
