import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import {
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
} from '../support/redis-topology.ts';
import { eventually } from '../support/wait.ts';

/** After which the Sentinels of these tests believe a master down, in ms. */
const DOWN_AFTER_MS = 1_000;

/** From the loss of the master to subscriptions on the new one, in ms: the Sentinels' time and ours. */
const FAILOVER_MS = 10_000;

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

function observe(overrides: Partial<RedisSettings> = {}, commands?: Redis): Observed {
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
    commands === undefined
      ? undefined
      : {
          name: 'test',
          async heartbeat(name, token) {
            try {
              await commands.set(`tw:heartbeat:${name}`, token, 'PX', 30_000);
              await commands.publish(`tw:probe:${name}`, token);
            } catch (error) {
              const { name: kind, message } = error as Error;
              throw kind === 'ReplyError'
                ? new RedisRefusedError(message)
                : new RedisUnavailableError('not-sent', message);
            }
          },
          probeFailed: () => {},
          probeRefused: () => {},
        },
  );
  stack.defer(() => subscriber.stop());
  return { subscriber, subscribed, messages, link };
}

async function subscribersOf(node: RedisNode, channel: string): Promise<number> {
  const [, count] = (await node.control.call('PUBSUB', 'NUMSUB', channel)) as [string, number];
  return Number(count);
}

describe('Redis by Sentinels', () => {
  it('follows the master when it is killed, for subscriptions and for commands', async () => {
    const { subscriber, subscribed, messages, link } = observe({}, connectionByHand());
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

  it('follows the master when it hangs', async () => {
    const { subscriber, subscribed, messages } = observe({}, connectionByHand());
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
    const { subscriber, subscribed } = observe({}, connectionByHand());
    subscriber.want('a');
    subscriber.start();
    commands.start();
    await eventually(() => subscriber.linked && subscribed.has('a') && commands.available);
    const [sentinel] = sentinels.addresses;
    const guard = new Redis({ host: sentinel?.host ?? '', port: sentinel?.port ?? 0 });
    stack.defer(() => guard.disconnect());
    await guard.call('SENTINEL', 'FAILOVER', 'trades');
    await eventually(async () => subscriber.linked && (await subscribersOf(replica, 'a')) === 1, {
      deadlineMs: FAILOVER_MS,
    });
    await eventually(async () => (await commands.publish('a', 'x')) >= 1);
  });

  it('asks the next Sentinel when one is gone or hangs, and says when none answers', async () => {
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
    expect(none.link[0]).toMatch(/^All sentinels are unreachable\./);
    await none.subscriber.stop();

    const unknown = observe({ url: settings().url.replace('/trades', '/no-such') });
    unknown.subscriber.start();
    await eventually(() => unknown.link.length === 1);
  });

  it('ends every connection on stop, those that watch the Sentinels too', async () => {
    const { subscriber } = observe();
    subscriber.start();
    await eventually(() => subscriber.linked);
    const watchers = async (): Promise<number> => {
      const lists = await Promise.all(
        sentinels.addresses.map(async ({ host, port }) => {
          const sentinel = new Redis({ host, port });
          const list = String(await sentinel.client('LIST'));
          sentinel.disconnect();
          return list.split('\n').filter((line) => line.includes(' sub=1 ')).length;
        }),
      );
      return lists.reduce((sum, count) => sum + count, 0);
    };
    await eventually(async () => (await watchers()) === 3);
    await subscriber.stop();
    await eventually(async () => (await watchers()) === 0);
  });
});
