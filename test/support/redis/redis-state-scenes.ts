import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { TestClient } from '../clients/client.ts';
import { TcpFaultProxy } from '../faults/tcp-fault-proxy.ts';
import { type ServiceEnvironment, startEdge, untilLinked } from '../services/service.ts';
import { eventually } from '../suite/wait.ts';
import { startRedisCluster } from './redis-cluster.ts';
import { IS_CLUSTER } from './redis-mode.ts';
import { type RedisNode, startRedisNode } from './redis-topology.ts';

const CHANNEL = 'BTC.trade';

/** Longer than any state: a replica must not take over, and there is none. */
const NODE_TIMEOUT_MS = 60_000;

const PUBLISH_EVERY_MS = 20;

/**
 * How long a slowly loading Redis takes for each key, in µs, and the script that fills another one with enough keys.
 */
const LOAD_KEY_US = 1_000;
const FILL = "for i = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1] .. i, 'value') end";

/**
 * How long a node may take to be back, in ms: waits of up to 5 s before it connects again, its probe, and a slow
 * machine.
 */
const BACK_MS = 15_000;

interface Scene {
  /** The Redis that is brought into the state: of a Cluster, one master of three. */
  readonly redis: RedisNode;
  /** The other masters of a Cluster. */
  readonly others: readonly RedisNode[];
  /** A channel whose slot this Redis has. */
  readonly channel: string;
  readonly passwordFile: string;
  /** The folder for its data. */
  readonly folder: string;
  /** How long Redis is in the state, in s. */
  readonly seconds: number;
  /** Everything that {@link StateCase.begin} started; the end of the scene ends it. */
  readonly owned: AsyncDisposableStack;
}

/** A state of Redis: how it begins and ends. */
interface StateCase {
  /** A word that the log must contain. */
  readonly word: string;
  /** Whether links are lost or replaced on purpose, so that publications are missed once. */
  readonly loses: boolean;
  begin(scene: Scene): Promise<unknown>;
  end(scene: Scene): Promise<unknown>;
}

const config = (redis: RedisNode, name: string, value: string) =>
  redis.control.config('SET', name, value);

async function killLinks({ control }: RedisNode): Promise<void> {
  await control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  const clients = String(await control.client('LIST')).split('\n');
  for (const client of clients) {
    const id = /^id=(\d+) .* name=tradewind-/.exec(client)?.[1];
    if (id !== undefined) await control.call('CLIENT', 'KILL', 'ID', id);
  }
}

/** A key of the channel's slot. */
function keyOf(channel: string, name: string): string {
  return `{${channel}}:${name}`;
}

/** Saves the data and loads it again: a node of a Cluster follows nobody by REPLICAOF. */
async function reload({ control }: RedisNode): Promise<void> {
  const own = control.duplicate({ retryStrategy: () => null });
  own.on('error', () => {});
  await own.call('DEBUG', 'RELOAD').catch(() => {});
  own.disconnect();
}

const STATES = {
  'cannot save to disk': {
    word: 'MISCONF',
    loses: false,
    async begin({ redis, folder, channel }) {
      await config(redis, 'save', '3600 1');
      const key = keyOf(channel, 'x');
      await redis.control.set(key, 'y');
      await rm(folder, { recursive: true });
      await redis.control.bgsave();
      await eventually(async () =>
        String(await redis.control.set(key, 'z').catch(String)).includes('MISCONF'),
      );
    },
    async end({ redis, folder }) {
      await mkdir(folder, { recursive: true });
      await config(redis, 'dir', folder).catch(() => {});
      await redis.control.bgsave();
    },
  },
  'has no memory left': {
    word: 'OOM',
    loses: false,
    begin: ({ redis }) => config(redis, 'maxmemory', '1'),
    end: ({ redis }) => config(redis, 'maxmemory', '0'),
  },
  'has too few replicas': {
    word: 'NOREPLICAS',
    loses: true,
    begin: ({ redis }) => config(redis, 'min-replicas-to-write', '1'),
    end: ({ redis }) => config(redis, 'min-replicas-to-write', '0'),
  },
  'is a replica without its master, and serves no stale data': {
    word: 'MASTERDOWN',
    loses: true,
    async begin({ redis }) {
      await config(redis, 'replica-serve-stale-data', 'no');
      await redis.control.replicaof('127.0.0.1', 1);
    },
    end: ({ redis }) => redis.control.call('REPLICAOF', 'NO', 'ONE'),
  },
  'forbids writes': {
    word: 'NOPERM',
    loses: false,
    begin: ({ redis }) => redis.control.call('ACL', 'SETUSER', 'default', '-set'),
    end: ({ redis }) => redis.control.call('ACL', 'SETUSER', 'default', '+@all'),
  },
  'forbids PING': {
    word: '',
    loses: false,
    begin: ({ redis }) => redis.control.call('ACL', 'SETUSER', 'default', '-ping'),
    end: ({ redis }) => redis.control.call('ACL', 'SETUSER', 'default', '+@all'),
  },
  'is busy with a script': {
    word: 'BUSY',
    loses: false,
    async begin({ redis }) {
      await config(redis, 'busy-reply-threshold', '100');
      const busy = redis.control.duplicate({ retryStrategy: () => null });
      busy.on('error', () => {});
      busy
        .eval('while true do end', 0)
        .catch(() => {})
        .finally(() => busy.disconnect());
      await sleep(500);
    },
    end: ({ redis }) => redis.control.call('SCRIPT', 'KILL'),
  },
  'has another password': {
    word: 'WRONGPASS',
    loses: true,
    async begin({ redis }) {
      await config(redis, 'requirepass', 'new');
      await killLinks(redis);
    },
    async end({ passwordFile, others }) {
      for (const other of others) await config(other, 'requirepass', 'new');
      await writeFile(passwordFile, 'new\n');
    },
  },
  'has no room for a client': {
    word: 'max number of clients',
    loses: true,
    async begin({ redis }) {
      await config(redis, 'maxclients', '1');
      await killLinks(redis);
    },
    end: ({ redis }) => config(redis, 'maxclients', '10000'),
  },
  'pauses its clients': {
    word: 'no answer',
    loses: true,
    begin: ({ redis, seconds }) => redis.control.call('CLIENT', 'PAUSE', seconds * 1_000, 'ALL'),
    end: async () => {},
  },
  'pauses writes': {
    word: 'no answer',
    loses: false,
    begin: ({ redis, seconds }) => redis.control.call('CLIENT', 'PAUSE', seconds * 1_000, 'WRITE'),
    end: async () => {},
  },
  'is a replica of a live master': {
    word: 'READONLY',
    loses: true,
    async begin({ redis, owned }) {
      await redis.follow(owned.use(await startRedisNode()));
    },
    end: ({ redis }) => redis.promote(),
  },
  'loads its data': {
    word: 'LOADING',
    loses: true,
    async begin({ redis, seconds, owned, channel }) {
      const { control } = redis;
      const count = Math.ceil((seconds * 1_000_000) / LOAD_KEY_US);
      const source = IS_CLUSTER ? redis : owned.use(await startRedisNode());
      await source.control.eval(FILL, 1, keyOf(channel, 'key:'), count);
      await config(redis, 'key-load-delay', String(LOAD_KEY_US));
      await config(redis, 'loading-process-events-interval-bytes', '1024');
      if (IS_CLUSTER) void reload(redis);
      else await redis.follow(source);
      await eventually(async () => (await control.info('persistence')).includes('loading:1'));
    },
    async end({ redis }) {
      await eventually(
        async () => {
          if (!IS_CLUSTER) return await redis.promote();
          expect(await redis.control.info('persistence')).toContain('loading:0');
        },
        { deadlineMs: BACK_MS },
      );
    },
  },
} satisfies Readonly<Record<string, StateCase>>;

export type RedisStateName = keyof typeof STATES;

export const REDIS_STATE_NAMES = Object.keys(STATES) as readonly RedisStateName[];

/** States into which REPLICAOF brings a Redis, which no node of a Cluster takes: its failovers are in `redis-cluster.test.ts`. */
const BY_REPLICAOF: readonly RedisStateName[] = [
  'is a replica without its master, and serves no stale data',
  'is a replica of a live master',
];

/** The states that a master of a Cluster can be in. */
export const CLUSTER_STATE_NAMES = REDIS_STATE_NAMES.filter((name) => !BY_REPLICAOF.includes(name));

/** Publishes numbers one after the other. Returns those that Redis delivered to a subscriber. */
function startLoad({ control }: RedisNode, channel: string) {
  const publisher = control.duplicate({ retryStrategy: () => null });
  publisher.on('error', () => {});
  const delivered: number[] = [];
  let running = true;
  let n = 0;
  const done = (async () => {
    while (running) {
      n += 1;
      const data = n;
      const word = IS_CLUSTER ? 'spublish' : 'publish';
      await publisher[word](channel, String(data)).then(
        (receivers) => {
          if (Number(receivers) > 0) delivered.push(data);
        },
        () => {},
      );
      await sleep(PUBLISH_EVERY_MS);
    }
  })();
  return {
    delivered,
    async stop() {
      running = false;
      await done;
      publisher.disconnect();
    },
  };
}

/**
 * A naive probe as a control: it requests a write once a second, and treats an error as no answer. Returns how often it
 * closed its connection.
 */
function startNaiveLink({ host, port }: RedisNode, channel: string) {
  const link = new Redis({
    host,
    port,
    password: 'old',
    retryStrategy: () => 50,
    enableOfflineQueue: false,
    commandTimeout: 1_000,
    connectionName: 'tradewind-naive',
  });
  link.on('error', () => {});
  let losses = 0;
  const timer = setInterval(() => {
    if (link.status !== 'ready') losses += 1;
    else
      void Promise.all([link.set(keyOf(channel, 'naive'), 'x'), link.ping()]).catch(() => {
        losses += 1;
        link.disconnect(true);
      });
  }, 500);
  return {
    losses: () => losses,
    stop() {
      clearInterval(timer);
      link.disconnect();
    },
  };
}

/** Where a state is played: on one Redis, or on one master of a Cluster. */
interface Stage extends Pick<Scene, 'redis' | 'others' | 'channel'> {
  /** All links of services to {@link redis} go through it. */
  readonly proxy: TcpFaultProxy;
  /** A channel on each of the other masters. */
  readonly elsewhere: readonly string[];
  readonly env: ServiceEnvironment;
}

async function startScene(owned: AsyncDisposableStack): Promise<Stage> {
  const speaks = 'bytes';
  if (!IS_CLUSTER) {
    const redis = owned.use(await startRedisNode());
    const { host, port } = redis;
    const proxy = owned.use(await TcpFaultProxy.start({ host, port, speaks }));
    const env = { REDIS_URL: proxy.url };
    return { ...{ redis, others: [], channel: CHANNEL, elsewhere: [] }, proxy, env };
  }
  const proxy = owned.use(await TcpFaultProxy.start({ host: '127.0.0.1', port: 0, speaks }));
  const cluster = owned.use(
    await startRedisCluster({
      ...{ replicas: 0, nodeTimeoutMs: NODE_TIMEOUT_MS, announcedPorts: [proxy.port] },
    }),
  );
  const [redis, ...others] = cluster.nodes;
  proxy.retarget(redis!);
  const names = cluster.nodes.map(async (node) => (await cluster.channelsOn(node, 1, CHANNEL))[0]!);
  const [channel = '', ...elsewhere] = await Promise.all(names);
  const env = { REDIS_MODE: 'cluster', REDIS_URL: cluster.url };
  return { redis: redis!, others, proxy, channel, elsewhere, env };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** The outcome of a state under load. */
export interface StateOutcome {
  /** Whether links are lost or replaced on purpose. */
  readonly loses: boolean;
  /** The word that the log must contain, and the log. */
  readonly word: string;
  readonly log: string;
  /** Publications that Redis delivered to a subscriber, and those of them that the client did not receive. */
  readonly delivered: number;
  readonly missed: number;
  /** The same of a channel on another shard; 0 of 0 where Redis is no Cluster. */
  readonly deliveredElsewhere: number;
  readonly missedElsewhere: number;
  readonly degraded: number;
  /** Connections that the node made during the state, and the highest number allowed. */
  readonly connections: number;
  readonly mayConnect: number;
  /** How often a naive link was closed: the control. */
  readonly naiveLosses: number;
  readonly naiveLossesBefore: number;
}

/** The first seven or eight connections of a link follow quickly, and then at most one of both links each second. */
const QUICK_CONNECTIONS = 18;

/**
 * Brings a Redis of its own into a state and back, under load and with an edge and a client. Rejects if publications do
 * not flow again within 15 s.
 */
export async function playRedisState(name: RedisStateName, seconds: number): Promise<StateOutcome> {
  const state: StateCase = STATES[name];
  await using owned = new AsyncDisposableStack();
  const { redis, others, proxy, channel, elsewhere, env } = await startScene(owned);
  const passwordFile = join(tmpdir(), `tradewind-state-${redis.port}`);
  owned.defer(() => rm(passwordFile, { force: true }));
  await writeFile(passwordFile, 'old\n');
  const [, folder] = (await redis.control.config('GET', 'dir')) as [string, string];
  const scene: Scene = { redis, others, channel, passwordFile, folder, seconds, owned };
  for (const node of [redis, ...others]) {
    await config(node, 'requirepass', 'old');
    node.control.options.password = 'old';
  }
  await using edge = await startEdge({
    ...{ ...env, REDIS_PASSWORD_FILE: passwordFile },
    EDGE_NODE_ID: 'edge-1',
  });
  await untilLinked(edge);
  await using client = await TestClient.connect(edge.wsUrl, { channels: [channel, ...elsewhere] });
  const load = startLoad(redis, channel);
  owned.defer(() => load.stop());
  const loadsElsewhere = elsewhere.map((each, i) => startLoad(others[i]!, each));
  for (const each of loadsElsewhere) owned.defer(() => each.stop());
  await eventually(() => client.publicationsOn(channel).length > 10);
  const naive = startNaiveLink(redis, channel);
  owned.defer(() => naive.stop());
  await sleep(1_000);
  const naiveLossesBefore = naive.losses();
  let latest = 0;
  const count = setInterval(() => {
    for (const { number } of proxy.links) latest = Math.max(latest, number);
  }, 5);
  owned.defer(() => clearInterval(count));
  await eventually(() => latest > 0);
  const before = latest;

  await state.begin(scene);
  await sleep(seconds * 1_000);
  const naiveLosses = naive.losses();
  const connections = latest - before;
  clearInterval(count);
  naive.stop();
  await state.end(scene);
  const restored = (): boolean =>
    client.controlsOf('restored').length === client.controlsOf('degraded').length;
  await eventually(async () => restored() && (await fetch(`${edge.url}/readyz`)).ok, {
    deadlineMs: BACK_MS,
  });
  const already = client.publicationsOn(channel).length;
  await eventually(() => client.publicationsOn(channel).length > already + 20, {
    deadlineMs: BACK_MS,
  });
  const missed = async ({ delivered, stop }: ReturnType<typeof startLoad>, on: string) => {
    await stop();
    const received = () => client.publicationsOn(on).map(({ data }) => Number(data));
    await client.waitFor(() => received().includes(delivered.at(-1)!));
    const [first = 0] = received();
    const all = new Set(received());
    return delivered.filter((n) => n > first && !all.has(n)).length;
  };
  const missedElsewhere = await Promise.all(
    loadsElsewhere.map((each, i) => missed(each, elsewhere[i]!)),
  );
  return {
    loses: state.loses,
    word: state.word,
    log: edge.output.join('\n'),
    delivered: load.delivered.length,
    missed: await missed(load, channel),
    deliveredElsewhere: sum(loadsElsewhere.map(({ delivered }) => delivered.length)),
    missedElsewhere: sum(missedElsewhere),
    degraded: client.controlsOf('degraded').length,
    connections,
    mayConnect: Math.max(seconds, QUICK_CONNECTIONS),
    naiveLosses,
    naiveLossesBefore,
  };
}
