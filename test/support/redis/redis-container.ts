import { connect } from 'node:net';
import {
  findFreePort,
  REDIS_CONTAINER_PORT,
  REDIS_IMAGE,
  REDIS_READY_LINE,
  watchForOurDeath,
} from '@tradewind/dev';
import { GenericContainer, getContainerRuntimeClient, ImageName, Wait } from 'testcontainers';
import { eventually } from '../suite/wait.ts';
import type { TestRedis } from './test-redis.ts';

/** How long a container may take to accept connections, in ms. */
const READY_DEADLINE_MS = 30_000;

/** How long a running Redis may take to answer a PING, in ms. */
const ANSWER_MS = 1_000;

/**
 * Returns why no Redis container can run here: Docker does not answer, or has no image and cannot pull it. Undefined if
 * one can run; the image has then been pulled.
 */
export async function obstacleToContainers(): Promise<string | undefined> {
  try {
    const runtime = await getContainerRuntimeClient();
    const image = ImageName.fromString(REDIS_IMAGE);
    if (!(await runtime.image.exists(image))) await runtime.image.pull(image);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Ryuk, testcontainers' cleaner, would be a second image to pull. It is not needed: `stop` removes a container, or a
 * watcher does if this process dies.
 */
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';

/**
 * Waits for a PONG, not for the line in the log as at the first start. After a restart the line is searched from the
 * moment that Docker records as the start, and Redis is sometimes quicker.
 */
async function untilItAnswers(host: string, port: number): Promise<void> {
  await eventually(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect({ host, port, timeout: ANSWER_MS }, () => socket.write('PING\r\n'));
        socket.once(
          'data',
          (data) => socket.destroy() && resolve(data.toString().startsWith('+PONG')),
        );
        for (const event of ['error', 'timeout', 'close']) {
          socket.once(event, () => socket.destroy() && resolve(false));
        }
      }),
    { deadlineMs: READY_DEADLINE_MS },
  );
}

/** A Redis in a container of testcontainers, its port on the host fixed for its whole life. */
export async function startRedisContainer(args: readonly string[]): Promise<TestRedis> {
  const port = await findFreePort();
  const started = await new GenericContainer(REDIS_IMAGE)
    .withExposedPorts({ container: REDIS_CONTAINER_PORT, host: port })
    .withCommand([
      ...['redis-server', '--protected-mode', 'no', '--save', '', '--appendonly', 'no'],
      ...args,
    ])
    .withWaitStrategy(Wait.forLogMessage(REDIS_READY_LINE))
    .withStartupTimeout(READY_DEADLINE_MS)
    .start();
  const runtime = await getContainerRuntimeClient();
  const container = runtime.container.getById(started.getId());
  const watch = watchForOurDeath('docker', ['rm', '--force', started.getId()]);
  const host = started.getHost() === 'localhost' ? '127.0.0.1' : started.getHost();
  let frozen = false;
  let stopped = false;

  async function kill(): Promise<void> {
    await thaw();
    const { State } = await container.inspect();
    if (State.Running) {
      await container.kill({ signal: 'SIGKILL' });
      await container.wait();
    }
  }

  async function thaw(): Promise<void> {
    if (frozen) await container.unpause();
    frozen = false;
  }

  async function stop(): Promise<void> {
    if (stopped) return;
    stopped = true;
    await thaw();
    await started.stop({ timeout: 0 });
    watch.end();
  }

  return {
    kind: 'container',
    url: `redis://${host}:${port}`,
    host,
    port,
    kill,
    async restart() {
      await kill();
      await container.start();
      await untilItAnswers(host, port);
    },
    async freeze() {
      await container.pause();
      frozen = true;
    },
    thaw,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
