import {
  ClusterCommands,
  ClusterSubscriber,
  type ProbeOptions,
  RedisRefusedError,
  type RedisSettings,
  RedisSubscriber,
  RedisUnavailableError,
} from '@tradewind/bus';
import { Redis, type RedisOptions } from 'ioredis';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from 'vitest';
import { type CommandProxy, startCommandProxy } from '../../support/faults/command-proxy.ts';
import { type RedisCluster, startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { IS_CLUSTER } from '../../support/redis/redis-mode.ts';
import { type RedisNode, startRedisNode } from '../../support/redis/redis-topology.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';

/** A broken link is replaced within this time, in ms. */
const DETECTED_MS = 3_000 + BUSY_MACHINE_MS;

/** How long a control is watched for the fault that the probe finds, in ms. */
const WATCHED_MS = 4_500;

/** Longer than a node of a Cluster is frozen, in ms. */
const NODE_TIMEOUT_MS = 30_000;

/** What tests do with a subscriber of one Redis, or of a Cluster: then it is the link to the first master that they are about. */
interface Subscriber extends Pick<RedisSubscriber, 'want' | 'unwant' | 'stop'> {
  readonly linked: boolean;
  readonly probeAgeMs: number | undefined;
  readPositions: RedisSubscriber['readPositions'];
}

interface Notes {
  readonly subscribed: Set<string>;
  readonly messages: string[];
  /** `restored`, and the cause of each loss. */
  readonly link: string[];
  /** The same of all other masters of a Cluster. */
  readonly elsewhere: string[];
  readonly failures: string[];
  readonly refusals: string[];
}

interface Observed extends Notes {
  readonly subscriber: Subscriber;
}

/** The Redis, or the first master of a Cluster: clients come to it through {@link proxy}. */
let redis: RedisNode;
let cluster: RedisCluster | undefined;
let proxy: CommandProxy;
/** Channels of that Redis. */
let [a, b, c] = ['a', 'b', 'c'];

beforeAll(async () => {
  if (!IS_CLUSTER) return;
  proxy = await startCommandProxy(0);
  const announcedPorts = [Number(new URL(proxy.url).port)];
  cluster = await startRedisCluster({
    ...{ replicas: 0, nodeTimeoutMs: NODE_TIMEOUT_MS, announcedPorts },
  });
  const node = cluster.nodes[0]!;
  redis = node;
  proxy.redisPort = node.port;
  [a = '', b = '', c = ''] = await cluster.channelsOn(node, 3, 'probe');
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  if (IS_CLUSTER) return;
  redis = await startRedisNode();
  proxy = await startCommandProxy(redis.port);
});

afterEach(async () => {
  if (IS_CLUSTER) return;
  await proxy[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

async function publish(channel: string, payload: string): Promise<void> {
  if (IS_CLUSTER) await redis.control.spublish(channel, payload);
  else await redis.control.publish(channel, payload);
}

/** Expects that no other master of a Cluster lost its link. */
function expectNothingElsewhere({ elsewhere }: Observed): void {
  expect(elsewhere).toEqual(IS_CLUSTER ? ['restored', 'restored'] : []);
}

function settings(url: string): RedisSettings {
  return {
    url,
    password: undefined,
    certificateAuthority: undefined,
    connectionName: 'tradewind-test',
  };
}

/** The work of an edge's command link: a write, and the probe after it. */
function heartbeatOver(connection: Redis): ProbeOptions['heartbeat'] {
  return async (name, token) => {
    try {
      await connection.set(`tw:heartbeat:${name}`, token, 'PX', 30_000);
      await connection.publish(`tw:probe:${name}`, token);
      return { refusal: undefined, connection: 1 };
    } catch (error) {
      const { name: kind, message } = error as Error;
      throw kind === 'ReplyError'
        ? new RedisRefusedError(message)
        : new RedisUnavailableError('not-sent', message);
    }
  };
}

function commandsTo(url: string): Redis {
  const connection = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 50,
  });
  connection.on('error', () => {});
  onTestFinished(() => connection.disconnect());
  return connection;
}

/**
 * Starts a subscriber of `channels`; without `commands` it has no probe. A Cluster's own commands, by the same user, probe it.
 *
 * @param isProven resolves after a probe has arrived.
 */
async function observe(
  url: string,
  channels: readonly string[],
  commands: Redis | undefined,
  isProven = commands !== undefined,
): Promise<Observed> {
  const notes: Notes = {
    ...{ subscribed: new Set(), messages: [], link: [], elsewhere: [], failures: [], refusals: [] },
  };
  const probe = {
    name: 'test',
    probeFailed: (cause: string) => void notes.failures.push(cause),
    probeRefused: (error: RedisRefusedError) => void notes.refusals.push(error.code),
  };
  const subscriber =
    cluster === undefined
      ? startOnOne(url, notes, commands && { ...probe, heartbeat: heartbeatOver(commands) })
      : startOnCluster(cluster, notes, commands && { ...probe, login: commands.options });
  onTestFinished(() => subscriber.stop());
  for (const channel of channels) subscriber.want(channel);
  await eventually(() => subscriber.linked && notes.subscribed.size === channels.length);
  if (isProven) await eventually(() => (subscriber.probeAgeMs ?? 9_999) < 500);
  return { subscriber, ...notes };
}

function startOnOne(url: string, notes: Notes, probe: ProbeOptions | undefined): Subscriber {
  const subscriber = new RedisSubscriber(
    settings(url),
    {
      message: (channel, payload) => notes.messages.push(`${channel} ${payload}`),
      subscribed(names) {
        for (const name of names) notes.subscribed.add(name);
      },
      refused: () => {},
      linkLost(cause) {
        notes.subscribed.clear();
        notes.link.push(cause);
      },
      linkRestored: () => notes.link.push('restored'),
    },
    probe,
  );
  subscriber.start();
  return subscriber;
}

function startOnCluster(
  { url }: RedisCluster,
  notes: Notes,
  probe:
    | (Pick<ProbeOptions, 'name' | 'probeFailed' | 'probeRefused'> & {
        readonly login: Pick<RedisOptions, 'username' | 'password'>;
      })
    | undefined,
): Subscriber {
  const { username, password } = probe?.login ?? {};
  const login = username ? `${username}:${password}@` : '';
  const options = { ...settings(url.replace('//', `//${login}`)), mode: 'cluster' } as const;
  const commands = new ClusterCommands(options, { available() {}, unavailable() {} });
  const here = proxy.url.replace('redis://', '');
  const linkOf = (shard: string) => (shard === here ? notes.link : notes.elsewhere);
  const subscriber = new ClusterSubscriber(
    options,
    commands,
    {
      message: (channel, payload) => notes.messages.push(`${channel} ${payload}`),
      subscribed(names) {
        for (const name of names) notes.subscribed.add(name);
      },
      refused: () => {},
      moved(names) {
        for (const name of names) notes.subscribed.delete(name);
      },
      shardAdded: () => {},
      shardRemoved: () => {},
      shardLost(shard, cause) {
        for (const name of notes.subscribed)
          if (subscriber.shardOf(name) === shard) notes.subscribed.delete(name);
        linkOf(shard).push(cause);
      },
      shardRestored: (shard) => linkOf(shard).push('restored'),
    },
    probe,
  );
  commands.start();
  subscriber.start();
  return {
    get linked() {
      return subscriber.shards.length > 0 && subscriber.shardsDown.length === 0;
    },
    get probeAgeMs() {
      return subscriber.probeAgeMs;
    },
    want: (channel) => subscriber.want(channel),
    unwant: (channel) => subscriber.unwant(channel),
    async readPositions(channels) {
      const outcomes = await subscriber.readPositions(channels);
      const unavailable = outcomes.find((each) => each instanceof RedisUnavailableError);
      if (unavailable !== undefined) throw unavailable;
      return outcomes.map((each) => (each instanceof Error ? undefined : each));
    },
    async stop() {
      await subscriber.stop();
      await commands.stop();
    },
  };
}

async function untilLost({ link }: Observed): Promise<string> {
  return await eventually(
    () => {
      const [, cause] = link;
      if (cause === undefined) throw new Error('not lost');
      return cause;
    },
    { deadlineMs: DETECTED_MS },
  );
}

/** Resolves after `ms`: no event shows that nothing happens. */
async function watch(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

describe('the probe of a subscription', () => {
  it('finds a demoted Redis, which a link without it does not', async ({ skip }) => {
    skip(IS_CLUSTER, 'a master of a Cluster is demoted by a failover: redis-cluster.test.ts');
    await using other = await startRedisNode();
    const probed = await observe(redis.url, ['a'], commandsTo(redis.url));
    const control = await observe(redis.url, ['a'], undefined);
    await redis.follow(other);
    const demotedAt = performance.now();
    expect(await untilLost(probed)).toMatch(/READONLY/);
    expect(performance.now() - demotedAt).toBeLessThan(DETECTED_MS);
    await watch(WATCHED_MS - (performance.now() - demotedAt));
    expect(control.link).toEqual(['restored']);
    expect(control.subscriber.linked).toBe(true);
    expect(probed.subscriber.linked).toBe(false);

    await redis.promote();
    await eventually(() => probed.subscriber.linked);
    await redis.control.publish('a', 'again');
    await eventually(() => probed.messages.includes('a again'));
  });

  it('finds a Redis that others no longer publish to, which a link without it does not', async ({
    skip,
  }) => {
    skip(IS_CLUSTER, 'a node of a Cluster that has no slot sends who asks it to the one that has');
    await using master = await startRedisNode();
    await redis.follow(master);
    const probed = await observe(redis.url, ['a'], commandsTo(master.url));
    const control = await observe(redis.url, ['a'], undefined);
    await redis.promote();
    const detachedAt = performance.now();
    expect(await untilLost(probed)).toMatch(/did not arrive/);
    await watch(WATCHED_MS - (performance.now() - detachedAt));
    await master.control.publish('a', 'unheard');
    expect(control.link).toEqual(['restored']);
    expect(control.messages).toEqual([]);
  });

  it('finds a lost subscription, which a link without it never gets back', async () => {
    const probed = await observe(proxy.url, [a, b, c], commandsTo(redis.url));
    const control = await observe(proxy.url, [a, b, c], undefined);
    onTestFinished(() => {
      proxy.hides = undefined;
    });
    // A node of a Cluster that ends a subscription by itself pushes that to the client. Here the node pushes nothing.
    if (IS_CLUSTER) proxy.hides = /[*>]3\r\n\$12\r\nsunsubscribe\r\n\$\d+\r\n[^\r]+\r\n:\d+\r\n/g;
    proxy.inject(IS_CLUSTER ? 'SUNSUBSCRIBE' : 'UNSUBSCRIBE', b);
    const lostAt = performance.now();
    expect(await untilLost(probed)).toBe('Redis holds 3 subscriptions instead of 4');
    expect(performance.now() - lostAt).toBeLessThan(DETECTED_MS);
    await eventually(() => probed.subscriber.linked && probed.subscribed.size === 3);
    await publish(b, '1');
    await eventually(() => probed.messages.includes(`${b} 1`));
    await watch(WATCHED_MS - (performance.now() - lostAt));
    await publish(b, '2');
    await publish(c, '2');
    await eventually(() => control.messages.includes(`${c} 2`));
    expect(control.messages).toEqual([`${c} 2`]);
    expect(control.link).toEqual(['restored']);
    expectNothingElsewhere(probed);
  });

  it('does not miscount while subscriptions come and go without a pause', async () => {
    const observed = await observe(redis.url, [a], commandsTo(redis.url));
    const { subscriber, link, failures } = observed;
    const names = Array.from({ length: 300 }, (_, index) => `channel-${index}`);
    const wanted = new Set<string>();
    const end = performance.now() + 4_000;
    for (let step = 0; performance.now() < end; step++) {
      for (let change = 0; change < 20; change++) {
        const name = names[(step * 31 + change * 7) % names.length] ?? '';
        if (wanted.delete(name)) subscriber.unwant(name);
        else {
          wanted.add(name);
          subscriber.want(name);
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(link).toEqual(['restored']);
    expect(failures).toEqual([]);
    expectNothingElsewhere(observed);
  });

  it.each([
    ['frozen', () => redis.pause(), () => redis.resume()],
    [
      'disconnected by CLIENT KILL',
      () => redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
      () => undefined,
    ],
  ])('recovers after Redis was %s', async (_how, harm, heal) => {
    const observed = await observe(redis.url, [a], commandsTo(redis.url));
    await harm();
    const harmedAt = performance.now();
    await untilLost(observed);
    expect(performance.now() - harmedAt).toBeLessThan(DETECTED_MS);
    await heal();
    await eventually(() => observed.subscriber.linked && observed.subscribed.has(a));
    await eventually(() => (observed.subscriber.probeAgeMs ?? 9_999) < 500);
    await publish(a, 'again');
    await eventually(() => observed.messages.includes(`${a} again`));
    expectNothingElsewhere(observed);
  });

  it('finds a connection that is open on our side only', async () => {
    const observed = await observe(proxy.url, [a], commandsTo(redis.url));
    proxy.blackhole = true;
    const harmedAt = performance.now();
    await untilLost(observed);
    expect(performance.now() - harmedAt).toBeLessThan(DETECTED_MS);
    proxy.blackhole = false;
    await eventually(() => observed.subscriber.linked);
    expectNothingElsewhere(observed);
  });

  it('recovers after Redis has closed it because of its output buffer', async () => {
    const observed = await observe(redis.url, [a], commandsTo(redis.url));
    await redis.control.config('SET', 'client-output-buffer-limit', 'pubsub 1mb 1mb 1');
    const word = IS_CLUSTER ? 'SPUBLISH' : 'PUBLISH';
    const burst = `for i = 1, 30 do redis.call('${word}', ARGV[1], string.rep('x', 1000000)) end`;
    await redis.control.eval(burst, 0, a);
    await untilLost(observed);
    expect(observed.messages.length).toBeLessThan(30);
    await eventually(() => observed.subscriber.linked && observed.subscribed.has(a));
    await publish(a, 'again');
    await eventually(() => observed.messages.includes(`${a} again`));
    await redis.control.config('SET', 'client-output-buffer-limit', 'pubsub 32mb 8mb 60');
  });

  it('does not blame Redis for a stall of our own event loop', async () => {
    const observed = await observe(redis.url, [a], commandsTo(redis.url));
    const { link, failures, subscriber } = observed;
    for (let stalls = 0; stalls < 2; stalls++) {
      stall(2_500);
      await eventually(() => (subscriber.probeAgeMs ?? 9_999) < 500);
    }
    await watch(1_500);
    expect(link).toEqual(['restored']);
    expect(failures).toEqual([]);
    expectNothingElsewhere(observed);
  });

  it('reports once that the ACL forbids the probe, and continues without it', async () => {
    const may = (...rules: readonly string[]) =>
      ['ACL', 'SETUSER', 'edge', 'on', '>secret', '~*', '&*', '+@all', ...rules] as const;
    for (const { control } of cluster?.nodes ?? []) await control.call(...may());
    // The heartbeat of the other masters goes on.
    await redis.control.call(...may(IS_CLUSTER ? '-spublish' : '-set'));
    const commands = commandsTo(redis.url.replace('redis://', 'redis://edge:secret@'));
    await eventually(() => commands.status === 'ready');
    const observed = await observe(redis.url, [], commands, false);
    const { refusals, link } = observed;
    await eventually(() => refusals.length > 0);
    await watch(WATCHED_MS);
    expect(refusals).toEqual(['NOPERM']);
    expect(link).toEqual(['restored']);
    expect(observed.failures).toEqual([]);
    expectNothingElsewhere(observed);
  });

  it('leaves no listener, timer or connection behind', async () => {
    const observed = await observe(redis.url, [a], commandsTo(redis.url));
    const warnings: Error[] = [];
    const collect = (warning: Error): void => void warnings.push(warning);
    process.on('warning', collect);
    onTestFinished(() => void process.off('warning', collect));
    for (let kill = 1; kill <= 12; kill++) {
      await redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually(() => observed.link.length === 1 + 2 * kill && observed.subscriber.linked);
    }
    expect(warnings).toEqual([]);
    await observed.subscriber.stop();
    await eventually(
      async () => !String(await redis.control.client('LIST')).includes('tradewind-test'),
    );
    const { length } = observed.link;
    await watch(1_500);
    expect(observed.link).toHaveLength(length);
  });
});

describe('readPositions of a subscriber', () => {
  it('resolves after everything that was published before the read, under load', async () => {
    const { subscriber, messages } = await observe(redis.url, [a], undefined);
    const publisher = commandsTo(redis.url);
    await eventually(() => publisher.status === 'ready');
    const noise = Buffer.alloc(2_000, 0x6e);
    let offset = 0;
    for (let round = 0; round < 300; round++) {
      for (let sent = 0; sent < 20; sent++) {
        offset += 1;
        const transaction = publisher.multi().set(`{${a}}:meta`, `k3x9:${offset}`);
        for (const payload of [`${offset}`, noise])
          if (IS_CLUSTER) transaction.spublish(a, payload);
          else transaction.publish(a, payload);
        void transaction.exec();
      }
      if (round % 10 !== 0) await new Promise((resolve) => setImmediate(resolve));
      const [position] = await subscriber.readPositions([a]);
      if (position === undefined) continue;
      expect(position.epoch).toBe('k3x9');
      // Noise follows each offset. The client must have received at least the position that was read.
      const told = Number(messages.findLast((message) => message.length < 30)?.split(' ')[1] ?? 0);
      expect(told).toBeGreaterThanOrEqual(position.offset);
    }
    expect(offset).toBe(6_000);
  });

  it('reads thousands in order, and no position from other values', async () => {
    const channels = Array.from({ length: 2_000 }, (_, index) => `channel-${index}`);
    // A Cluster reads each where it is subscribed.
    const { subscriber } = await observe(redis.url, IS_CLUSTER ? channels : [a], undefined);
    const on = async (channel: string) => (await cluster?.masterOf(channel)) ?? redis;
    for (const [channel, meta] of [
      ['channel-3', 'k3x9:118'],
      ['channel-1999', 'm81q:0'],
      ['channel-4', 'nonsense'],
    ] as const)
      await (await on(channel)).control.set(`{${channel}}:meta`, meta);
    await (await on('channel-5')).control.lpush('{channel-5}:meta', 'a list');
    const positions = await subscriber.readPositions(channels);
    expect(positions).toHaveLength(2_000);
    expect(positions[3]).toEqual({ epoch: 'k3x9', offset: 118 });
    expect(positions[1_999]).toEqual({ epoch: 'm81q', offset: 0 });
    expect(positions.filter((position) => position !== undefined)).toHaveLength(2);
  });

  it('rejects within 3 s if Redis freezes during the read', async () => {
    const { subscriber } = await observe(redis.url, [a], undefined);
    redis.pause();
    const pausedAt = performance.now();
    await expect(subscriber.readPositions([a])).rejects.toBeInstanceOf(RedisUnavailableError);
    expect(performance.now() - pausedAt).toBeLessThan(DETECTED_MS);
    redis.resume();
  });
});

function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
