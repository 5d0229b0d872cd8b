import { afterAll, afterEach, beforeEach } from 'vitest';
import type { StartRedisOptions } from './redis.ts';
import { onEach, type RedisCluster } from './redis-cluster.ts';
import { IS_CLUSTER, startRedisOfMode } from './redis-mode.ts';
import { type SharedRedis, startSharedRedis } from './shared-redis.ts';
import type { TestRedis } from './test-redis.ts';

/** What tests set, and what it was before. */
const SETTINGS = {
  ...{ maxmemory: '0', 'min-replicas-to-write': '0', 'busy-reply-threshold': '5000' },
};

/**
 * Gives each test of a file an empty Redis: all of them share one server, which is reset between tests. In cluster mode it is a
 * cluster.
 *
 * @param options makes a server with arguments of its own for each test, but for a cluster, whose nodes take seconds to find
 * each other.
 */
export function redisOfEachTest(options?: () => StartRedisOptions): {
  readonly current: TestRedis;
} {
  let redis: TestRedis | undefined;
  let shared: SharedRedis | undefined;
  beforeEach(async () => {
    if (IS_CLUSTER) redis ??= await startRedisOfMode(options?.());
    else if (options === undefined) redis = shared ??= await startSharedRedis();
    else redis = await startRedisOfMode(options());
    await shared?.reset();
  });
  afterEach(async () => {
    if (redis?.cluster !== undefined) {
      // A test that failed may have left it dead.
      if (redis.cluster.nodes.some(({ control }) => control.status !== 'ready'))
        await redis.restart();
      await empty(redis.cluster);
    } else if (shared === undefined) await redis?.stop();
  });
  afterAll(async () => await (shared ?? redis)?.stop());
  return {
    get current() {
      if (redis === undefined) throw new Error('no Redis: only a test has one');
      return redis;
    },
  };
}

/** Undoes what a test did to the nodes. They must run. */
async function empty(cluster: RedisCluster): Promise<void> {
  await onEach(cluster.nodes, async (node) => {
    node.resume();
    const { control } = node;
    for (const [name, value] of Object.entries(SETTINGS)) await control.config('SET', name, value);
    const users = (await control.call('ACL', 'USERS')) as string[];
    for (const user of users) {
      if (user !== 'default') await control.call('ACL', 'DELUSER', user);
    }
    await control.call('ACL', 'SETUSER', 'default', 'reset', 'on', 'nopass', '~*', '&*', '+@all');
  });
  await cluster.untilWhole();
  for (const node of new Set(await cluster.owners())) {
    await node?.control.flushall();
    await node?.control.function('FLUSH');
    await node?.control.script('FLUSH');
    await node?.control.config('RESETSTAT');
  }
}
