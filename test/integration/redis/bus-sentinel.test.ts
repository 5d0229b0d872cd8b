import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import {
  type ProbeOptions,
  RedisCommands,
  RedisRefusedError,
  type RedisSettings,
  RedisSubscriber,
  RedisUnavailableError,
} from '@tradewind/bus';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type RedisNode,
  type Sentinels,
  startRedisNode,
  startSentinels,
} from '../../support/redis/redis-topology.ts';
import { eventually } from '../../support/suite/wait.ts';

/** The silence after which the Sentinels of these tests consider a master down, in ms. */
const DOWN_AFTER_MS = 1_000;

/**
 * From the loss of the master to subscriptions on the new one, in ms: 10 s for the Sentinels and the bus, and room for an
 * election that none of the Sentinels won.
 */
const FAILOVER_MS = 30_000;

let stack: AsyncDisposableStack;
let master: RedisNode;
let replica: RedisNode;
let sentinels: Sentinels;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  master = stack.use(await startRedisNode());
  replica = stack.use(await startRedisNode({ replicaOf: master }));
  sentinels = stack.use(
    await startSentinels({ master, masterName: 'trades', count: 3, downAfterMs: DOWN_AFTER_MS }),
  );
});

afterEach(async () => {
  await stack.disposeAsync();
});

function settings(overrides: Partial<RedisSettings> = {}): RedisSettings {
  const hosts = sentinels.addresses.map(({ host, port }) => `${host}:${port}`);
  return {
    mode: 'sentinel',
    url: `redis://${hosts.join()}/${sentinels.masterName}`,
    password: undefined,
    certificateAuthority: undefined,
    connectionName: 'tradewind-test',
    ...overrides,
  };
}

function connectionByHand(): Redis {
  const connection = new Redis({
    sentinels: [...sentinels.addresses],
    name: sentinels.masterName,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 50,
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
  connection.on('error', () => {});
  stack.defer(() => connection.disconnect());
  return connection;
}

interface Observed {
  readonly subscriber: RedisSubscriber;
  readonly subscribed: Set<string>;
  readonly messages: string[];
  readonly link: string[];
}

type Heartbeat = ProbeOptions['heartbeat'];

/** A heartbeat over a connection that was made by hand. */
function heartbeatByHand(): Heartbeat {
  const connection = connectionByHand();
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

function observe(overrides: Partial<RedisSettings> = {}, heartbeat?: Heartbeat): Observed {
  const subscribed = new Set<string>();
  const messages: string[] = [];
  const link: string[] = [];
  const subscriber = new RedisSubscriber(
    settings(overrides),
    {
      message: (channel, payload) => messages.push(`${channel} ${payload}`),
      subscribed(channels) {
        for (const channel of channels) subscribed.add(channel);
      },
      refused: () => {},
      linkLost(cause) {
        subscribed.clear();
        link.push(cause);
      },
      linkRestored: () => link.push('restored'),
    },
    heartbeat && { name: 'test', heartbeat, probeFailed: () => {}, probeRefused: () => {} },
  );
  stack.defer(() => subscriber.stop());
  return { subscriber, subscribed, messages, link };
}

async function subscribersOf(node: RedisNode, channel: string): Promise<number> {
  const [, count] = (await node.control.call('PUBSUB', 'NUMSUB', channel)) as [string, number];
  return Number(count);
}

describe('Redis by Sentinels', () => {
  it('follows the master after it was killed, for subscriptions and for commands', async () => {
    const { subscriber, subscribed, messages, link } = observe({}, heartbeatByHand());
    const commands = new RedisCommands(settings(), { available() {}, unavailable() {} });
    stack.defer(() => commands.stop());
    for (let channel = 0; channel < 600; channel++) subscriber.want(`channel-${channel}`);
    subscriber.start();
    commands.start();
    await eventually(() => subscriber.linked && subscribed.size === 600 && commands.available);
    expect(await subscribersOf(master, 'channel-7')).toBe(1);
    await commands.publish('channel-7', 'before');
    await eventually(() => messages.includes('channel-7 before'));

    await master.kill();
    await eventually(
      async () =>
        subscriber.linked && subscribed.size === 600 && (await subscribersOf(replica, 'channel-7')),
      { deadlineMs: FAILOVER_MS },
    );
    await eventually(async () => (await sentinels.master()).port === replica.port);
    await eventually(() => commands.available);
    await commands.publish('channel-7', 'after');
    await eventually(() => messages.includes('channel-7 after'));
    expect(link.filter((event) => event === 'restored').length).toBeGreaterThanOrEqual(2);
  });

  it('follows the master if it hangs', async () => {
    const { subscriber, subscribed, messages } = observe({}, heartbeatByHand());
    subscriber.want('a');
    subscriber.start();
    await eventually(() => subscriber.linked && subscribed.has('a'));
    master.pause();
    await eventually(async () => subscriber.linked && (await subscribersOf(replica, 'a')) === 1, {
      deadlineMs: FAILOVER_MS,
    });
    await replica.control.publish('a', 'after');
    await eventually(() => messages.includes('a after'));
    master.resume();
  });

  it('leaves a healthy master that the Sentinels demote', async () => {
    const commands = new RedisCommands(settings(), { available() {}, unavailable() {} });
    stack.defer(() => commands.stop());
    const { subscriber, subscribed } = observe({}, (name, token) =>
      commands.heartbeat(name, token),
    );
    subscriber.want('a');
    subscriber.start();
    commands.start();
    await eventually(() => subscriber.linked && subscribed.has('a') && commands.available);
    await guards()[0]!.call('SENTINEL', 'FAILOVER', 'trades');
    await eventually(async () => subscriber.linked && (await subscribersOf(replica, 'a')) === 1, {
      deadlineMs: FAILOVER_MS,
    });
    await eventually(async () => (await commands.publish('a', 'x')) >= 1);
  });

  it('asks the next Sentinel if one is gone or hangs, and reports if none answers', async () => {
    const gone = '127.0.0.1:1';
    const mute = createServer().listen(0, '127.0.0.1');
    stack.defer(() => void mute.close());
    await once(mute, 'listening');
    const hanging = `127.0.0.1:${(mute.address() as AddressInfo).port}`;
    const [{ host, port } = { host: '', port: 0 }] = sentinels.addresses;
    const first = observe({ url: `redis://${gone},${hanging},${host}:${port}/trades` });
    first.subscriber.start();
    await eventually(() => first.subscriber.linked);

    const none = observe({ url: `redis://${gone}/trades` });
    none.subscriber.start();
    await eventually(() => none.link.length === 1);
    expect(none.link[0]).toMatch(/^no Sentinel names the master trades: .*ECONNREFUSED/);
    await none.subscriber.stop();

    const unknown = observe({ url: settings().url.replace('/trades', '/no-such') });
    unknown.subscriber.start();
    await eventually(() => unknown.link.length === 1);
  });

  it('leaves a master that the Sentinels have replaced without its knowledge', async () => {
    const commands = new RedisCommands(settings(), { available() {}, unavailable() {} });
    stack.defer(() => commands.stop());
    const observed = observe({}, (name, token) => commands.heartbeat(name, token));
    const { subscriber, link } = observed;
    const control = connectionByHand();
    subscriber.want('a');
    subscriber.start();
    commands.start();
    await eventually(() => subscriber.linked && commands.available && control.status === 'ready');

    // Callers that waited for the Sentinels settle after the restart, in either way.
    await Promise.all(guards().map((guard) => guard.call('CLIENT', 'KILL', 'TYPE', 'pubsub')));
    // Isolated from the others: only this test reaches it, and it remains a master.
    await master.control.call('ACL', 'SETUSER', 'default', '-replicaof', '-slaveof');
    await guards()[0]!.call('SENTINEL', 'FAILOVER', sentinels.masterName);
    await eventually(async () => (await sentinels.master()).port === replica.port, {
      deadlineMs: FAILOVER_MS,
    });

    await eventually(async () => subscriber.linked && (await subscribersOf(replica, 'a')) === 1, {
      deadlineMs: FAILOVER_MS,
    });
    expect(link[1]).toMatch(/^the Sentinels name another master: /);
    await eventually(() => (subscriber.probeAgeMs ?? 9_999) < 500);
    await eventually(async () => (await commands.publish('a', 'after')) === 1);
    await eventually(() => observed.messages.includes('a after'));
    expect(await master.control.role()).toContain('master');
    expect(await control.info('server')).toContain(`tcp_port:${master.port}`);
  });

  it('ends every connection on stop, those to the Sentinels too', async () => {
    const { subscriber } = observe();
    subscriber.start();
    await eventually(() => subscriber.linked);
    const all = guards();
    const accepted = async (): Promise<number> => {
      const stats = await Promise.all(all.map((guard) => guard.info('stats')));
      const counts = stats.map((text) => /total_connections_received:(\d+)/.exec(text)?.[1]);
      return counts.reduce((sum, count) => sum + Number(count), 0);
    };
    const before = await accepted();
    // The Sentinels know each other at this point and open few other connections.
    await eventually(async () => (await accepted()) >= before + 3);
    await subscriber.stop();
    const after = await accepted();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await accepted()).toBe(after);
  });
});

/** Opens a connection to each Sentinel, for checks and faults. */
function guards(): readonly Redis[] {
  return sentinels.addresses.map(({ host, port }) => {
    const guard = new Redis({ host, port });
    stack.defer(() => guard.disconnect());
    return guard;
  });
}
