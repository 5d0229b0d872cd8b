import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bringRedis, howToInstallRedis } from './bring-redis.ts';
import { findFreePort } from './free-port.ts';
import { findRedisServer } from './redis-server.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('bringRedis', () => {
  it('says that the Redis of REDIS_URL does not answer, without its password', async () => {
    const port = await findFreePort();
    vi.stubEnv('REDIS_URL', `redis://:secret@127.0.0.1:${port}`);
    const refused = bringRedis(() => {});
    await expect(refused).rejects.toThrow(/REDIS_URL names does not answer: .*ECONNREFUSED/);
    await expect(refused).rejects.not.toThrow('secret');
  });
});

describe('howToInstallRedis', () => {
  it.each([
    { platform: 'darwin', way: 'brew install redis' },
    { platform: 'linux', way: 'apt-get install redis-server' },
    { platform: 'linux', way: 'dnf install valkey' },
    { platform: 'win32', way: 'WSL' },
    { platform: 'freebsd', way: 'REDIS_URL=' },
  ] as const)('tells $platform of "$way"', ({ platform, way }) => {
    expect(howToInstallRedis(platform)).toContain(way);
  });
});

describe('findRedisServer', () => {
  it('prefers redis-server to valkey-server, and skips what cannot be run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-path-'));
    const path = ['/no/such/folder', folder].join(delimiter);
    try {
      expect(await findRedisServer(path)).toBeUndefined();
      await writeFile(join(folder, 'valkey-server'), '');
      await chmod(join(folder, 'valkey-server'), 0o755);
      await writeFile(join(folder, 'redis-server'), '', { mode: 0o644 });
      expect(await findRedisServer(path)).toBe(join(folder, 'valkey-server'));
      await chmod(join(folder, 'redis-server'), 0o755);
      expect(await findRedisServer(path)).toBe(join(folder, 'redis-server'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
