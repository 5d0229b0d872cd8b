import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { TestClient } from '../client.ts';
import { TcpFaultProxy } from '../faults/tcp-fault-proxy.ts';
import { startEdge, untilLinked } from '../service.ts';
import { eventually } from '../wait.ts';
import { type RedisNode, startRedisNode } from './redis-topology.ts';

const CHANNEL = 'BTC.trade';
const PUBLISH_EVERY_MS = 20;

/**
 * How long a slowly loading Redis takes for each key, in µs, and the script that fills another one with enough keys.
 */
const LOAD_KEY_US = 1_000;
const FILL = "for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'key:' .. i, 'value') end";

/**
 * How long a node may take to be back, in ms: waits of up to 5 s before it connects again, its probe, and a slow
 * machine.
 */
const BACK_MS = 15_000;

interface Scene {
  readonly redis: RedisNode;
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

const STATES = {
  'cannot save to disk': {
    word: 'MISCONF',
    loses: false,
    async begin({ redis, folder }) {
      await config(redis, 'save', '3600 1');
      await redis.control.set('x', 'y');
      await rm(folder, { recursive: true });
      await redis.control.bgsave();
      await eventually(async () =>
        String(await redis.control.set('x', 'z').catch(String)).includes('MISCONF'),
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
    end: ({ passwordFile }) => writeFile(passwordFile, 'new\n'),
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
    async begin({ redis, seconds, owned }) {
      const { control } = redis;
      const master = owned.use(await startRedisNode());
      const keys = Math.ceil((seconds * 1_000_000) / LOAD_KEY_US);
      await master.control.eval(FILL, 0, keys);
      await config(redis, 'key-load-delay', String(LOAD_KEY_US));
      await config(redis, 'loading-process-events-interval-bytes', '1024');
      await redis.follow(master);
      await eventually(async () => (await control.info('persistence')).includes('loading:1'));
    },
    end: ({ redis }) => eventually(() => redis.promote(), { deadlineMs: BACK_MS }),
  },
} satisfies Readonly<Record<string, StateCase>>;

export type RedisStateName = keyof typeof STATES;

export const REDIS_STATE_NAMES = Object.keys(STATES) as readonly RedisStateName[];

/** Publishes numbers one after the other. Returns those that Redis delivered to a subscriber. */
function startLoad(redis: RedisNode) {
  const { control } = redis;
  const publisher = control.duplicate({ retryStrategy: () => null });
  publisher.on('error', () => {});
  const delivered: number[] = [];
  let running = true;
  let n = 0;
  const done = (async () => {
    while (running) {
      n += 1;
      const data = n;
      await publisher.publish(CHANNEL, String(data)).then(
        (receivers) => {
          if (receivers > 0) delivered.push(data);
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
function startNaiveLink({ host, port }: RedisNode) {
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
      void Promise.all([link.set('naive', 'x'), link.ping()]).catch(() => {
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
  const redis = owned.use(await startRedisNode());
  const passwordFile = join(tmpdir(), `tradewind-state-${redis.port}`);
  owned.defer(() => rm(passwordFile, { force: true }));
  await writeFile(passwordFile, 'old\n');
  const [, folder] = (await redis.control.config('GET', 'dir')) as [string, string];
  const scene: Scene = { redis, passwordFile, folder, seconds, owned };
  await config(redis, 'requirepass', 'old');
  redis.control.options.password = 'old';
  await using proxy = await TcpFaultProxy.start({
    host: redis.host,
    port: redis.port,
    speaks: 'bytes',
  });
  await using edge = await startEdge({
    REDIS_URL: proxy.url,
    REDIS_PASSWORD_FILE: passwordFile,
    EDGE_NODE_ID: 'edge-1',
  });
  await untilLinked(edge);
  await using client = await TestClient.connect(edge.wsUrl, { channels: [CHANNEL] });
  const load = startLoad(redis);
  owned.defer(() => load.stop());
  await eventually(() => client.publications.length > 10);
  const naive = startNaiveLink(redis);
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
  const already = client.publications.length;
  await eventually(() => client.publications.length > already + 20, { deadlineMs: BACK_MS });
  await load.stop();
  const last = String(load.delivered.at(-1));
  await client.waitFor(() => client.publications.some(({ data }) => data === last));

  const received = new Set(client.publications.map(({ data }) => Number(data)));
  const first = Math.min(...received);
  return {
    loses: state.loses,
    word: state.word,
    log: edge.output.join('\n'),
    delivered: load.delivered.length,
    missed: load.delivered.filter((n) => n > first && !received.has(n)).length,
    degraded: client.controlsOf('degraded').length,
    connections,
    mayConnect: Math.max(seconds, QUICK_CONNECTIONS),
    naiveLosses,
    naiveLossesBefore,
  };
}
