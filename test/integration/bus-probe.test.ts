import {
  type ProbeOptions,
  RedisRefusedError,
  type RedisSettings,
  RedisSubscriber,
  RedisUnavailableError,
} from '@tradewind/bus';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startCommandProxy } from '../support/faults/command-proxy.ts';
import { type RedisNode, startRedisNode } from '../support/redis/redis-topology.ts';
import { eventually } from '../support/wait.ts';

/** A broken link is replaced within this time, in ms: 3 s, and some more for a slow machine. */
const DETECTED_MS = 3_500;

/** How long a control is watched for the fault that the probe finds, in ms. */
const WATCHED_MS = 4_500;

interface Observed {
  readonly subscriber: RedisSubscriber;
  readonly subscribed: Set<string>;
  readonly messages: string[];
  /** `restored`, and the cause of each loss. */
  readonly link: string[];
  readonly failures: string[];
  readonly refusals: string[];
}

let redis: RedisNode;

beforeEach(async () => {
  redis = await startRedisNode();
});

afterEach(async () => {
  await redis[Symbol.asyncDispose]();
});

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

/** Starts a subscriber of `channels`; without `commands` it has no probe. */
async function observe(
  url: string,
  channels: readonly string[],
  commands: Redis | undefined,
): Promise<Observed> {
  const observed: Omit<Observed, 'subscriber'> = {
    subscribed: new Set(),
    messages: [],
    link: [],
    failures: [],
    refusals: [],
  };
  const subscriber = new RedisSubscriber(
    settings(url),
    {
      message: (channel, payload) => observed.messages.push(`${channel} ${payload}`),
      subscribed(names) {
        for (const name of names) observed.subscribed.add(name);
      },
      refused: () => {},
      linkLost(cause) {
        observed.subscribed.clear();
        observed.link.push(cause);
      },
      linkRestored: () => observed.link.push('restored'),
    },
    commands === undefined
      ? undefined
      : {
          name: 'test',
          heartbeat: heartbeatOver(commands),
          probeFailed: (cause) => observed.failures.push(cause),
          probeRefused: (error) => observed.refusals.push(error.code),
        },
  );
  onTestFinished(() => subscriber.stop());
  for (const channel of channels) subscriber.want(channel);
  subscriber.start();
  await eventually(() => subscriber.linked && observed.subscribed.size === channels.length);
  if (commands !== undefined) await eventually(() => (subscriber.probeAgeMs ?? 9_999) < 500);
  return { subscriber, ...observed };
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
  it('finds a demoted Redis, which a link without it does not', async () => {
    await using other = await startRedisNode();
    const probed = await observe(redis.url, ['a'], commandsTo(redis.url));
    const control = await observe(redis.url, ['a'], undefined);
    await redis.follow(other);
    const demotedAt = performance.now();
    expect(await untilLost(probed)).toMatch(/READONLY/);
    expect(performance.now() - demotedAt).toBeLessThan(3_000);
    await watch(WATCHED_MS - (performance.now() - demotedAt));
    expect(control.link).toEqual(['restored']);
    expect(control.subscriber.linked).toBe(true);
    expect(probed.subscriber.linked).toBe(false);

    await redis.promote();
    await eventually(() => probed.subscriber.linked);
    await redis.control.publish('a', 'again');
    await eventually(() => probed.messages.includes('a again'));
  });

  it('finds a Redis that others no longer publish to, which a link without it does not', async () => {
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
    await using proxy = await startCommandProxy(redis.port);
    const probed = await observe(proxy.url, ['a', 'b', 'c'], commandsTo(redis.url));
    await using deafProxy = await startCommandProxy(redis.port);
    const control = await observe(deafProxy.url, ['a', 'b', 'c'], undefined);
    proxy.inject('UNSUBSCRIBE', 'b');
    deafProxy.inject('UNSUBSCRIBE', 'b');
    const lostAt = performance.now();
    expect(await untilLost(probed)).toBe('Redis holds 3 subscriptions instead of 4');
    expect(performance.now() - lostAt).toBeLessThan(3_000);
    await eventually(() => probed.subscriber.linked && probed.subscribed.size === 3);
    await redis.control.publish('b', '1');
    await eventually(() => probed.messages.includes('b 1'));
    await watch(WATCHED_MS - (performance.now() - lostAt));
    await redis.control.publish('b', '2');
    await redis.control.publish('c', '2');
    await eventually(() => control.messages.includes('c 2'));
    expect(control.messages).toEqual(['c 2']);
    expect(control.link).toEqual(['restored']);
  });

  it('does not miscount while subscriptions come and go without a pause', async () => {
    const { subscriber, link, failures } = await observe(redis.url, ['a'], commandsTo(redis.url));
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
  });

  it.each([
    ['frozen', () => redis.pause(), () => redis.resume()],
    [
      'disconnected by CLIENT KILL',
      () => redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
      () => undefined,
    ],
  ])('recovers after Redis was %s', async (_how, harm, heal) => {
    const observed = await observe(redis.url, ['a'], commandsTo(redis.url));
    await harm();
    const harmedAt = performance.now();
    await untilLost(observed);
    expect(performance.now() - harmedAt).toBeLessThan(3_000);
    await heal();
    await eventually(() => observed.subscriber.linked && observed.subscribed.has('a'));
    await eventually(() => (observed.subscriber.probeAgeMs ?? 9_999) < 500);
    await redis.control.publish('a', 'again');
    await eventually(() => observed.messages.includes('a again'));
  });

  it('finds a connection that is open on our side only', async () => {
    await using proxy = await startCommandProxy(redis.port);
    const observed = await observe(proxy.url, ['a'], commandsTo(redis.url));
    proxy.blackhole = true;
    const harmedAt = performance.now();
    await untilLost(observed);
    expect(performance.now() - harmedAt).toBeLessThan(3_000);
    proxy.blackhole = false;
    await eventually(() => observed.subscriber.linked);
  });

  it('recovers after Redis has closed it because of its output buffer', async () => {
    const observed = await observe(redis.url, ['a'], commandsTo(redis.url));
    await redis.control.config('SET', 'client-output-buffer-limit', 'pubsub 1mb 1mb 1');
    const burst = "for i = 1, 30 do redis.call('PUBLISH', 'a', string.rep('x', 1000000)) end";
    await redis.control.eval(burst, 0);
    await untilLost(observed);
    expect(observed.messages.length).toBeLessThan(30);
    await eventually(() => observed.subscriber.linked && observed.subscribed.has('a'));
    await redis.control.publish('a', 'again');
    await eventually(() => observed.messages.includes('a again'));
  });

  it('does not blame Redis for a stall of our own event loop', async () => {
    const { link, failures, subscriber } = await observe(redis.url, ['a'], commandsTo(redis.url));
    for (let stalls = 0; stalls < 2; stalls++) {
      stall(2_500);
      await eventually(() => (subscriber.probeAgeMs ?? 9_999) < 500);
    }
    await watch(1_500);
    expect(link).toEqual(['restored']);
    expect(failures).toEqual([]);
  });

  it('reports once that the ACL forbids the probe, and continues without it', async () => {
    await redis.control.call(
      'ACL',
      'SETUSER',
      'edge',
      'on',
      '>secret',
      '+@all',
      '-set',
      '~*',
      '&*',
    );
    const commands = commandsTo(redis.url.replace('redis://', 'redis://edge:secret@'));
    await eventually(() => commands.status === 'ready');
    const refusals: string[] = [];
    const link: string[] = [];
    const subscriber = new RedisSubscriber(
      settings(redis.url),
      {
        message: () => {},
        subscribed: () => {},
        refused: () => {},
        linkLost: (cause) => link.push(cause),
        linkRestored: () => link.push('restored'),
      },
      {
        name: 'test',
        heartbeat: heartbeatOver(commands),
        probeFailed: (cause) => link.push(cause),
        probeRefused: (error) => refusals.push(error.code),
      },
    );
    onTestFinished(() => subscriber.stop());
    subscriber.start();
    await eventually(() => refusals.length > 0);
    await watch(WATCHED_MS);
    expect(refusals).toEqual(['NOPERM']);
    expect(link).toEqual(['restored']);
  });

  it('leaves no listener, timer or connection behind', async () => {
    const observed = await observe(redis.url, ['a'], commandsTo(redis.url));
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

describe('RedisSubscriber.readPositions on a real Redis', () => {
  it('resolves after everything that was published before the read, under load', async () => {
    const { subscriber, messages } = await observe(redis.url, ['a'], undefined);
    const publisher = commandsTo(redis.url);
    await eventually(() => publisher.status === 'ready');
    const noise = Buffer.alloc(2_000, 0x6e);
    let offset = 0;
    for (let round = 0; round < 300; round++) {
      for (let sent = 0; sent < 20; sent++) {
        offset += 1;
        void publisher
          .multi()
          .set('{a}:meta', `k3x9:${offset}`)
          .publish('a', `${offset}`)
          .publish('a', noise)
          .exec();
      }
      if (round % 10 !== 0) await new Promise((resolve) => setImmediate(resolve));
      const [position] = await subscriber.readPositions(['a']);
      if (position === undefined) continue;
      expect(position.epoch).toBe('k3x9');
      // Noise follows each offset. The client must have received at least the position that was read.
      const told = Number(messages.findLast((message) => message.length < 20)?.slice(2) ?? 0);
      expect(told).toBeGreaterThanOrEqual(position.offset);
    }
    expect(offset).toBe(6_000);
  });

  it('reads thousands in order, and no position from other values', async () => {
    const { subscriber } = await observe(redis.url, ['a'], undefined);
    await redis.control.mset({
      '{channel-3}:meta': 'k3x9:118',
      '{channel-1999}:meta': 'm81q:0',
      '{channel-4}:meta': 'nonsense',
    });
    await redis.control.lpush('{channel-5}:meta', 'a list');
    const channels = Array.from({ length: 2_000 }, (_, index) => `channel-${index}`);
    const positions = await subscriber.readPositions(channels);
    expect(positions).toHaveLength(2_000);
    expect(positions[3]).toEqual({ epoch: 'k3x9', offset: 118 });
    expect(positions[1_999]).toEqual({ epoch: 'm81q', offset: 0 });
    expect(positions.filter((position) => position !== undefined)).toHaveLength(2);
  });

  it('rejects within 3 s if Redis freezes during the read', async () => {
    const { subscriber } = await observe(redis.url, ['a'], undefined);
    redis.pause();
    const pausedAt = performance.now();
    await expect(subscriber.readPositions(['a'])).rejects.toBeInstanceOf(RedisUnavailableError);
    expect(performance.now() - pausedAt).toBeLessThan(3_000);
    redis.resume();
  });
});

function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
