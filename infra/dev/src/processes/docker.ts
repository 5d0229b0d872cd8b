import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { watchForOurDeath } from './death-watch.ts';
import { startProcess } from './owned-process.ts';
import { REDIS_CONTAINER_PORT, REDIS_IMAGE } from './redis-image.ts';
import { REDIS_READY_LINE } from './redis-server.ts';

/** How long Docker may take to answer before it counts as not running, in ms. */
const ANSWER_DEADLINE_MS = 5_000;

/** How long the image may take to download and start, in ms. */
const READY_DEADLINE_MS = 300_000;

const run = promisify(execFile);

/** Whether a Docker engine answers. */
export async function dockerAnswers(): Promise<boolean> {
  try {
    const asked = ['version', '--format', '{{.Server.Version}}'];
    await run('docker', asked, { timeout: ANSWER_DEADLINE_MS });
    return true;
  } catch {
    return false;
  }
}

export interface RedisContainer {
  /** The container's name, for `docker exec`. */
  readonly name: string;
  /** Removes it. */
  stop(): Promise<void>;
}

/**
 * Starts a Redis without persistence on `port` of 127.0.0.1, and resolves when it accepts connections. The container is
 * removed by `stop`, or when this process dies.
 */
export async function startRedisInDocker(port: number): Promise<RedisContainer> {
  const name = `tradewind-redis-${port}`;
  const remove = ['rm', '--force', name];
  const watch = watchForOurDeath('docker', remove);
  async function stop(): Promise<void> {
    await run('docker', remove).catch(() => {});
    watch.end();
  }
  try {
    const client = await startProcess({
      name: 'docker run',
      command: 'docker',
      args: [
        ...[
          'run',
          '--rm',
          '--name',
          name,
          '--publish',
          `127.0.0.1:${port}:${REDIS_CONTAINER_PORT}`,
        ],
        ...[REDIS_IMAGE, 'redis-server', '--protected-mode', 'no'],
        ...['--save', '', '--appendonly', 'no'],
      ],
      env: process.env,
      cwd: undefined,
    });
    await client.waitForLine(
      (line) => (line.includes(REDIS_READY_LINE) ? true : undefined),
      READY_DEADLINE_MS,
    );
    return { name, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
