import { Cluster, Redis } from 'ioredis';
import type { CommonSettings } from './settings.ts';

/** How long Redis may take to accept a connection, in ms. */
const CONNECT_DEADLINE_MS = 3_000;

const DEFAULT_PORT = 6379;

/** `redis:` or `rediss:`, a user and a password, hosts, and a database. */
const URL_PARTS = /^(rediss?):\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/(\d{0,5}))?$/i;

/** One Redis, or the nodes of a Cluster. */
export interface RedisTarget {
  readonly hosts: readonly [HostAndPort, ...HostAndPort[]];
  readonly usesTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** What all commands use: a connection to one Redis or to a Cluster. */
export type RedisClient = Redis | Cluster;

/** Reads `redis://[user[:password]@]host[:port][,host[:port]…][/database]`. Undefined if it is something else. */
export function readRedisUrl(text: string): RedisTarget | undefined {
  const parts = URL_PARTS.exec(text);
  if (parts === null) return undefined;
  const [, scheme = '', userInfo = '', hostList = '', database = ''] = parts;
  const [first, ...others] = hostList.split(',').map(readHost);
  if (first === undefined || others.includes(undefined)) return undefined;
  const [username, ...password] = userInfo.split(':').map(decode);
  return {
    hosts: [first, ...others.filter((host) => host !== undefined)],
    usesTls: scheme.toLowerCase() === 'rediss',
    username: username || undefined,
    password: password.join(':') || undefined,
    database: Number(database),
  };
}

/** The hosts of a URL, for messages: without what may be secret. */
export function hostsOf(url: string): string {
  const hosts = readRedisUrl(url)?.hosts ?? [];
  return hosts.map(({ host, port }) => `${host}:${port}`).join(',');
}

/**
 * Connects to Redis once. Rejects with a sentence that names the server if that fails. The caller ends the connection by
 * `disconnect`.
 */
export async function connectRedis({
  redisUrl,
  redisPassword,
  isCluster,
}: Pick<CommonSettings, 'redisUrl' | 'redisPassword' | 'isCluster'>): Promise<RedisClient> {
  const target = readRedisUrl(redisUrl)!;
  const redis = makeClient(
    { ...target, password: redisPassword ?? target.password },
    isCluster || target.hosts.length > 1,
  );
  let cause: Error | undefined;
  let nodeCause: Error | undefined;
  redis.on('error', (error: Error) => {
    cause = (error as { lastNodeError?: Error }).lastNodeError ?? error;
  });
  // A Cluster whose nodes refuse the user tries the next one and says nothing of it by `error`.
  redis.on('node error', (error: Error, address: string) => {
    nodeCause = new Error(`${address}: ${error.message || error.name}`);
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), CONNECT_DEADLINE_MS);
  });
  const untilAnswered = async (): Promise<void> => {
    await redis.connect();
    // It is about a host that another one stood in for.
    nodeCause = undefined;
    await redis.ping();
  };
  try {
    // The first command shows a wrong password and a Redis that is loading; a connection alone does not.
    await Promise.race([untilAnswered(), late]);
    return redis;
  } catch (error) {
    redis.disconnect();
    const { message, name } = (nodeCause ?? cause ?? error) as Error;
    throw new Error(`Redis at ${hostsOf(redisUrl)}: ${message || name}`);
  } finally {
    clearTimeout(timer);
  }
}

/** The masters of a Cluster, or the one Redis. */
export function mastersOf(redis: RedisClient): readonly Redis[] {
  return redis instanceof Cluster ? redis.nodes('master') : [redis];
}

/** How many connections are subscribed to a channel: one for each edge with clients on it, and whoever else listens. */
export async function countListeners(redis: RedisClient, channel: string): Promise<number> {
  const forms = redis instanceof Cluster ? ['SHARDNUMSUB', 'NUMSUB'] : ['NUMSUB'];
  const nodes = redis instanceof Cluster ? redis.nodes('all') : [redis];
  const counts = await Promise.all(
    nodes.flatMap((node) =>
      forms.map(async (form) => {
        const [, count] = (await node.call('PUBSUB', form, channel)) as [string, number];
        return Number(count);
      }),
    ),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function makeClient(target: RedisTarget, isCluster: boolean): RedisClient {
  const { hosts, usesTls, username, password, database } = target;
  const [{ host, port }] = hosts;
  const shared = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(usesTls ? { tls: {} } : {}),
    ...{ connectTimeout: CONNECT_DEADLINE_MS, connectionName: 'tradewind-cli' },
  };
  const retryStrategy = (times: number): number => 50 * times;
  if (isCluster)
    return new Cluster([...hosts], {
      ...{ lazyConnect: true, clusterRetryStrategy: retryStrategy, redisOptions: shared },
      // A certificate is for the name that the URL has; nodes are told by their addresses otherwise.
      ...(usesTls ? { dnsLookup: asItIs } : {}),
    });
  return new Redis({
    ...{ ...shared, host, port, db: database, lazyConnect: true, enableReadyCheck: false },
    retryStrategy,
  });
}

function asItIs(name: string, callback: (error: null, address: string) => void): void {
  callback(null, name);
}

function readHost(text: string): HostAndPort | undefined {
  const [, host, port = String(DEFAULT_PORT)] =
    /^(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535) return undefined;
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
