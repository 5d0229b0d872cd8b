import {
  findFreePort,
  findRedisServer,
  howToInstallRedis,
  type OwnedProcess,
  startRedisServer,
} from '@tradewind/dev';
import { obstacleToContainers, startRedisContainer } from './redis-container.ts';
import type { TestRedis } from './test-redis.ts';

export type { TestRedis } from './test-redis.ts';

export interface StartRedisOptions {
  /** Arguments for `redis-server`, after those that keep it small and on loopback. */
  readonly args?: readonly string[];
  /** Where it runs. Default: a container if Docker answers, and otherwise a process. */
  readonly kind?: 'container' | 'process';
}

/**
 * Decides where {@link startRedis} starts servers: `container` or `process`. The integration suite sets it once for all
 * its files, after it has found out what this machine offers.
 */
export const REDIS_KIND_VARIABLE = 'TEST_REDIS';

/** Starts a Redis and resolves after it accepts connections. The caller ends it. */
export async function startRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  const kind = options.kind ?? process.env[REDIS_KIND_VARIABLE] ?? (await kindThatRunsHere());
  const args = options.args ?? [];
  return kind === 'container' ? await startRedisContainer(args) : await startRedisProcess(args);
}

async function kindThatRunsHere(): Promise<'container' | 'process'> {
  return (await obstacleToContainers()) === undefined ? 'container' : 'process';
}

async function startRedisProcess(args: readonly string[]): Promise<TestRedis> {
  const program = await findRedisServer();
  if (program === undefined) throw new Error(howToInstallRedis());
  const port = await findFreePort();
  const start = (): Promise<OwnedProcess> => startRedisServer({ program, port, args });
  let server = await start();

  async function kill(): Promise<void> {
    server.signal('SIGKILL');
    await server.exited;
  }

  return {
    kind: 'process',
    url: `redis://127.0.0.1:${port}`,
    host: '127.0.0.1',
    port,
    kill,
    async restart() {
      await kill();
      server = await start();
    },
    async freeze() {
      server.signal('SIGSTOP');
    },
    async thaw() {
      server.signal('SIGCONT');
    },
    stop: kill,
    [Symbol.asyncDispose]: kill,
  };
}
