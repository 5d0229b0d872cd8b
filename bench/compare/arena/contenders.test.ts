import { mkdtemp, readFile, readlink, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_FLAGS, WORKSPACE_ROOT } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { startRedis } from '../../../test/support/redis/redis.ts';
import { ALLOCATOR_SETTINGS, contenderOf, startContender } from './contenders.ts';

it('starts the edge with the allocator’s settings of its unit', async () => {
  const unit = await readFile(`${WORKSPACE_ROOT}infra/systemd/tradewind-edge.service`, 'utf8');
  const settings = [...unit.matchAll(/^Environment=(MALLOC_\w+)=(.*)$/gm)];
  expect(Object.fromEntries(settings.map(([, name, value]) => [name, value]))).toEqual(
    ALLOCATOR_SETTINGS,
  );
});

it('starts the edge of another checkout in the same way, in its own folder by its own Node', async () => {
  await using stack = new AsyncDisposableStack();
  const root = await realpath(await mkdtemp(join(tmpdir(), 'checkout-')));
  stack.defer(() => rm(root, { recursive: true }));
  for (const part of ['node_modules', 'packages', 'services', 'infra']) {
    await symlink(join(WORKSPACE_ROOT, part), join(root, part));
  }
  const redis = stack.use(await startRedis());
  const ours = stack.use(await startContender(contenderOf('edge'), redis.url, {}));
  const other = stack.use(await startContender(contenderOf(`edge@${root}`), redis.url, {}));
  const read = (pid: number, file: string) => readFile(`/proc/${pid}/${file}`, 'utf8');
  const command = (await read(other.pid, 'cmdline')).split('\0').filter(Boolean);
  expect(command).toEqual([
    join(root, 'node_modules/.bin/node'),
    ...NODE_FLAGS.edge,
    'services/edge/src/main.ts',
  ]);
  expect(await readlink(`/proc/${other.pid}/cwd`)).toBe(root);
  expect(await read(other.pid, 'environ')).toBe(await read(ours.pid, 'environ'));
  expect(other.adminUrl).toMatch(/^http/);
});
