import { bringRedisServer, REDIS_IMAGE } from '@tradewind/dev';
import { REDIS_KIND_VARIABLE } from './redis/redis.ts';
import { obstacleToContainers } from './redis/redis-container.ts';

/**
 * Runs once before the integration suite: finds out where its Redis servers can run, reports it, and sets it for every
 * test file. Rejects if there is neither Docker nor a way to a redis-server.
 */
export async function setup(): Promise<void> {
  const report = (line: string): void => console.log(line);
  const asked = process.env[REDIS_KIND_VARIABLE];
  if (asked !== undefined && asked !== 'container' && asked !== 'process') {
    throw new Error(`${REDIS_KIND_VARIABLE} must be container or process, not ${asked}`);
  }
  if (asked !== 'process') {
    const obstacle = await obstacleToContainers();
    if (obstacle === undefined) {
      report(`Redis for the integration tests: containers of ${REDIS_IMAGE}, by testcontainers`);
      process.env[REDIS_KIND_VARIABLE] = 'container';
      return;
    }
    if (asked === 'container') throw new Error(`no Redis container can run: ${obstacle}`);
    report(`No Redis container can run here: ${obstacle}`);
  }
  const program = await bringRedisServer(report);
  report(`Redis for the integration tests: spawned processes of ${program}`);
  process.env[REDIS_KIND_VARIABLE] = 'process';
}
