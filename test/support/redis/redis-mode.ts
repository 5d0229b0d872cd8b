import { hashSlot, type RedisSettings } from '@tradewind/bus';
import { Cluster, Redis } from 'ioredis';
import type { ServiceEnvironment } from '../services/service.ts';
import { type StartRedisOptions, startRedis, type TestRedis } from './redis.ts';
import { type ClusterNode, onEach, type RedisCluster, startRedisCluster } from './redis-cluster.ts';
import type { RedisPlace } from './test-redis.ts';

/**
 * Whether the tests about Redis run on a Redis Cluster of three masters and three replicas: `TEST_REDIS_MODE=cluster`, which
 * the project `integration-cluster` sets. Tests that make no sense there are skipped, and say why.
 */
export const IS_CLUSTER = process.env.TEST_REDIS_MODE === 'cluster';

/**
 * How long a node must be silent before the others consider it failed, in ms: longer than tests freeze all of them. They are
 * frozen one after the other, and no replica must take over meanwhile.
 */
const NODE_TIMEOUT_MS = 15_000;

/** Commands of operators, which concern a node and no key: each node must have them. */
const OF_NODES = ['ACL', 'CLIENT', 'CONFIG', 'FUNCTION', 'SCRIPT'];

/** Starts one Redis, or a cluster. The caller ends it. */
export async function startRedisOfMode(options: StartRedisOptions = {}): Promise<TestRedis> {
  if (!IS_CLUSTER) return await startRedis(options);
  const { args = [] } = options;
  const cluster = await startRedisCluster({ nodeTimeoutMs: NODE_TIMEOUT_MS, args });
  const { host, port } = cluster.nodes[0]!;
  const stop = async () => await cluster[Symbol.asyncDispose]();
  const data = args.includes('--appendonly') ? 'appended' : 'empty';
  return {
    ...{ kind: 'process', url: cluster.url, host, port, cluster, stop },
    kill: () => onEach(cluster.nodes, (node) => node.kill()),
    async restart() {
      await onEach(cluster.nodes, (node) => node.restart(data));
      await cluster.untilWhole();
    },
    freeze: () => onEach(cluster.nodes, async (node) => node.pause()),
    thaw: () => onEach(cluster.nodes, async (node) => node.resume()),
    [Symbol.asyncDispose]: stop,
  };
}

/** The environment that points a service to a Redis. @param login `user:password@`, or nothing. */
export function serviceEnv({ url, cluster }: RedisPlace, login = ''): ServiceEnvironment {
  const env = { REDIS_URL: url.replace('redis://', `redis://${login}`) };
  return cluster === undefined ? env : { ...env, REDIS_MODE: 'cluster' };
}

/** The settings that point a part of the bus to a Redis. */
export function busSettings({ url, cluster }: RedisPlace): RedisSettings {
  return {
    ...{ url, password: undefined, certificateAuthority: undefined },
    connectionName: 'tradewind-test',
    ...(cluster === undefined ? {} : { mode: 'cluster' }),
  };
}

/**
 * Connects as a backend and an operator would. To a cluster it publishes by SPUBLISH, counts by SHARDNUMSUB, and tells commands
 * of operators to each node. The caller disconnects it.
 */
export function connectBackend({ url, cluster }: RedisPlace): Redis {
  const backend =
    cluster === undefined ? new Redis(url, { retryStrategy: () => 100 }) : connectCluster(cluster);
  backend.on('error', () => {});
  return backend;
}

function connectCluster(cluster: RedisCluster): Redis {
  const backend = new Cluster(
    cluster.nodes.map(({ host, port }) => ({ host, port })),
    {
      ...{ clusterRetryStrategy: () => 100, slotsRefreshInterval: 1_000 },
      ...{ retryDelayOnClusterDown: 100, retryDelayOnFailover: 100 },
    },
  );
  const toNodes =
    (name: string) =>
    async (...words: readonly (string | number)[]) => {
      // A replica has the functions of its master, and takes none itself.
      const nodes = name === 'FUNCTION' ? await mastersOf(cluster) : cluster.nodes;
      return await onEach(nodes, ({ control }) => control.call(name, ...words.map(String)));
    };
  const call = backend.call.bind(backend) as Redis['call'];
  const pubsub = async (question: string, ...channels: readonly string[]): Promise<unknown[]> => {
    if (question !== 'NUMSUB') throw new Error(`PUBSUB ${question} of a cluster`);
    const owners = await cluster.owners();
    const counts = await Promise.all(
      channels.map((channel) =>
        owners[hashSlot(channel)]?.control.call('PUBSUB', 'SHARDNUMSUB', channel),
      ),
    );
    return counts.flat();
  };
  Object.assign(backend, {
    publish: (channel: string, payload: string | Buffer) => backend.spublish(channel, payload),
    pubsub,
    async keys(pattern: string) {
      const owned = await Promise.all(
        (await mastersOf(cluster)).map(({ control }) => control.keys(pattern)),
      );
      return owned.flat();
    },
    call(name: string, ...words: readonly string[]) {
      if (OF_NODES.includes(name)) return toNodes(name)(...words);
      return name === 'PUBSUB' ? pubsub(...(words as [string])) : call(name, ...words);
    },
    ...Object.fromEntries(OF_NODES.map((name) => [name.toLowerCase(), toNodes(name)])),
  });
  // Both take the same commands; a test uses no others.
  return backend as unknown as Redis;
}

/** Receives what is published on a channel, and subscribes again whenever the link is back. The caller disconnects it. */
export async function startReceiver(
  redis: TestRedis,
  channel: string,
  take: (payload: Buffer) => void,
): Promise<Redis> {
  const isSharded = redis.cluster !== undefined;
  const { host, port } = (await redis.cluster?.masterOf(channel)) ?? redis;
  const options = { autoResubscribe: false, retryStrategy: () => 50 };
  const receiver = new Redis(port, host, options);
  receiver.on('error', () => {});
  receiver.on(isSharded ? 'smessageBuffer' : 'messageBuffer', (_: Buffer, payload: Buffer) =>
    take(payload),
  );
  const subscribe = () => (isSharded ? receiver.ssubscribe(channel) : receiver.subscribe(channel));
  await subscribe();
  receiver.on('ready', () => void subscribe().catch(() => undefined));
  return receiver;
}

/** How often each command was called, by its lower-case name, on all masters together. */
export async function commandCalls(redis: TestRedis): Promise<ReadonlyMap<string, number>> {
  return await countIn(redis, 'commandstats', /^cmdstat_([^:]+):calls=(\d+)/gm);
}

/** How often each error was replied, by its code, by all masters together. */
export async function errorReplies(redis: TestRedis): Promise<ReadonlyMap<string, number>> {
  return await countIn(redis, 'errorstats', /^errorstat_([^:]+):count=(\d+)/gm);
}

async function countIn(
  redis: TestRedis,
  section: string,
  line: RegExp,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const text of await infos(redis, section)) {
    for (const [, name = '', count] of text.matchAll(line))
      counts.set(name, (counts.get(name) ?? 0) + Number(count));
  }
  return counts;
}

async function infos(redis: TestRedis, section: string): Promise<readonly string[]> {
  const { cluster } = redis;
  if (cluster !== undefined)
    return await Promise.all(
      (await mastersOf(cluster)).map(({ control }) => control.info(section)),
    );
  const admin = new Redis(redis.url);
  try {
    return [await admin.info(section)];
  } finally {
    admin.disconnect();
  }
}

async function mastersOf(cluster: RedisCluster): Promise<readonly ClusterNode[]> {
  return [...new Set(await cluster.owners())].filter((node) => node !== undefined);
}
