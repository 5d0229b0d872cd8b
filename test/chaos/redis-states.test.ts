import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { type RedisNode, startRedisNode } from '../support/redis-topology.ts';
import { startEdge, untilLinked } from '../support/service.ts';
import { TcpFaultProxy } from '../support/tcp-fault-proxy.ts';
import { eventually } from '../support/wait.ts';

/** How long Redis is in each state, in s. */
const SECONDS = Number(process.env.REDIS_STATE_SECONDS ?? 30);

/** Connections that a node may make meanwhile: one a second; the first seven or eight of a link come fast. */
const CONNECTIONS = Math.max(SECONDS, 18);

const CHANNEL = 'BTC.trade';
const PUBLISH_EVERY_MS = 20;

/** Waits of up to 5 s before a node connects again, its probe, and a slow machine's share, in ms. */
const BACK_MS = 15_000;

interface Scene {
  readonly redis: RedisNode;
  readonly passwordFile: string;
  /** Where it saves. */
  readonly folder: string;
}

interface StateCase {
  /** What the log must say. */
  readonly word: string;
  /** Links are lost on purpose, or left: by that what is published meanwhile is missed, once. */
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

const STATES: Readonly<Record<string, StateCase>> = {
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
    begin: ({ redis }) => redis.control.call('CLIENT', 'PAUSE', SECONDS * 1_000, 'ALL'),
    end: async () => {},
  },
};

/** Publishes numbers one after the other. Returns those that Redis gave to a subscriber. */
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
 * What one might write: asks for a write once a second, and takes an error for no answer. Returns how often it
 * was cut off.
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

describe.concurrent('A15: Redis, under load,', () => {
  it.each(Object.entries(STATES))('%s, and back', async (name, state) => {
    await using redis = await startRedisNode();
    const passwordFile = join(tmpdir(), `tradewind-state-${redis.port}`);
    await writeFile(passwordFile, 'old\n');
    const [, folder] = (await redis.control.config('GET', 'dir')) as [string, string];
    const scene: Scene = { redis, passwordFile, folder };
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
    await eventually(() => client.publications.length > 10);
    const naive = startNaiveLink(redis);
    await sleep(1_000);
    expect(naive.losses(), 'of a naive link, before').toBe(0);
    let latest = 0;
    const count = setInterval(() => {
      for (const { number } of proxy.links) latest = Math.max(latest, number);
    }, 5);
    await eventually(() => latest > 0);
    const before = latest;

    await state.begin(scene);
    await sleep(SECONDS * 1_000);
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
    const missed = load.delivered.filter((n) => n > first && !received.has(n));
    // What Redis writes to a connection that it, or the node, ends is gone: of one loss, at most.
    expect(missed.length, `missed, of ${load.delivered.length}`).toBeLessThanOrEqual(
      state.loses ? 25 : 0,
    );
    expect(client.controlsOf('degraded').length).toBeLessThanOrEqual(state.loses ? 1 : 0);
    expect(edge.output.join('\n'), 'the log names it').toContain(state.word);
    expect(connections, 'connections of the node').toBeLessThanOrEqual(CONNECTIONS);
    console.log(
      `${name}: ${connections} connections in ${SECONDS} s (a naive link was cut off ${naiveLosses} times), missed ${missed.length} of ${load.delivered.length}`,
    );
    expect(naiveLosses, 'the control: of a naive link').toBeGreaterThan(1);
    await rm(passwordFile, { force: true });
  });
});
