import {
  findFreePort,
  findRedisServer,
  howToInstallRedis,
  type OwnedProcess,
  startRedisServer,
} from '@tradewind/dev';
import { obstacleToContainers, startRedisContainer } from './redis-container.ts';

export interface StartRedisOptions {
  /** Arguments for `redis-server`, after the ones that keep it small and on loopback. */
  readonly args?: readonly string[];
  /** Where it runs; by default a container where Docker answers, and a process otherwise. */
  readonly kind?: 'container' | 'process';
}

/** A Redis of a test's own, and the faults that can befall it. Address and port never change. */
export interface TestRedis extends AsyncDisposable {
  readonly kind: 'container' | 'process';
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Dies at once, as by SIGKILL; its data is gone. */
  kill(): Promise<void>;
  /** Killed if it still runs, then started again, empty, on the same port. */
  restart(): Promise<void>;
  /** Stops to run, with every connection left open: what a stuck machine looks like. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends it for good; can be called more than once. */
  stop(): Promise<void>;
}

/**
 * Says where {@link startRedis} starts servers: `container` or `process`. The integration suite
 * sets it once for all its files, after finding out what this machine offers.
 */
export const REDIS_KIND_VARIABLE = 'TEST_REDIS';

/** Starts a Redis and resolves when it accepts connections. The caller ends it. */
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
