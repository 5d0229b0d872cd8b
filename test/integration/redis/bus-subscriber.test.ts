import type { RedisSettings } from '@tradewind/bus';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createSubscriber, type Subscriber } from '../../support/redis/bus-of-mode.ts';
import { commandCalls, connectBackend, IS_CLUSTER } from '../../support/redis/redis-mode.ts';
import { redisOfEachTest } from '../../support/redis/redis-of-each-test.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';

/** Channels in one command of the bus. In a cluster those of one command must share a slot, and hardly any do. */
const BATCH_CHANNELS = IS_CLUSTER ? 1 : 512;

interface Observed {
  readonly subscriber: Subscriber;
  readonly subscribed: Set<string>;
  readonly messages: { channel: string; payload: Buffer }[];
  readonly refusals: { channel: string; code: string; atMs: number }[];
  /** `lost` and `restored`, in order. */
  readonly link: string[];
}

const redis = redisOfEachTest();
let admin: Redis;

beforeEach(() => {
  admin = connectBackend(redis.current);
});

afterEach(() => {
  admin.disconnect();
});

function observe(overrides: Partial<RedisSettings> = {}): Observed {
  const subscribed = new Set<string>();
  const messages: Observed['messages'] = [];
  const refusals: Observed['refusals'] = [];
  const link: string[] = [];
  const subscriber = createSubscriber(
    redis.current,
    {
      message(channel, payload) {
        expect(subscribed).toContain(channel);
        messages.push({ channel, payload });
      },
      subscribed(channels) {
        for (const channel of channels) subscribed.add(channel);
      },
      refused(channel, error) {
        refusals.push({ channel, code: error.code, atMs: performance.now() });
      },
      ended(isEnded) {
        for (const channel of subscribed) if (isEnded(channel)) subscribed.delete(channel);
      },
      lost: () => link.push('lost'),
      restored: () => link.push('restored'),
    },
    overrides,
  );
  onTestFinished(() => subscriber.stop());
  return { subscriber, subscribed, messages, refusals, link };
}

async function subscriptions(channels: readonly string[]): Promise<number> {
  const reply = (await admin.call('PUBSUB', 'NUMSUB', ...channels)) as (string | number)[];
  return reply.filter((_, index) => index % 2 === 1).reduce<number>((sum, n) => sum + Number(n), 0);
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `channel-${index}`);
}

describe('RedisSubscriber on a real Redis', () => {
  it('delivers payloads byte for byte, in order', async () => {
    const { subscriber, messages, subscribed } = observe();
    subscriber.want('BTC.trade');
    subscriber.start();
    await eventually(() => subscribed.has('BTC.trade'));
    const payloads = [
      Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
      Buffer.alloc(0),
      Buffer.from('{"price":"64123.5"}'),
      Buffer.from([0xc3, 0x28]),
      Buffer.alloc(300_000, 0xfe),
    ];
    for (const payload of payloads) await admin.publish('BTC.trade', payload);
    await eventually(() => messages.length === payloads.length);
    expect(
      messages.map(({ payload }) => Buffer.compare(payload, payloads.shift() ?? payload)),
    ).toEqual([0, 0, 0, 0, 0]);
  });

  it('makes the subscriptions at Redis follow the wanted channels', async () => {
    const { subscriber, messages, subscribed } = observe();
    subscriber.start();
    for (const channel of names(10)) subscriber.want(channel);
    await eventually(() => subscribed.size === 10);
    expect(await subscriptions(names(10))).toBe(10);
    for (const channel of names(4)) subscriber.unwant(channel);
    await eventually(async () => (await subscriptions(names(10))) === 6);
    subscriber.want('channel-0');
    await eventually(async () => (await subscriptions(names(10))) === 7);
    for (const channel of names(10)) await admin.publish(channel, channel);
    await eventually(() => messages.length === 7);
    for (const channel of names(10)) subscriber.unwant(channel);
    await eventually(async () => (await subscriptions(names(10))) === 0);
  });

  it('survives SIGKILL: one loss, one recovery, all channels back in batches', async () => {
    const channels = names(1_500);
    const { subscriber, subscribed, messages, link } = observe();
    for (const channel of channels) subscriber.want(channel);
    subscriber.start();
    await eventually(() => subscribed.size === channels.length);
    await redis.current.kill();
    await eventually(() => link.includes('lost'));
    expect(subscriber.linked).toBe(false);
    // Each shard is found to be lost by itself.
    await eventually(() => subscribed.size === 0);

    await redis.current.restart();
    const restartedAt = performance.now();
    await eventually(() => subscriber.linked);
    expect(performance.now() - restartedAt).toBeLessThan(2_000 + BUSY_MACHINE_MS);
    expect(subscribed.size).toBe(channels.length);
    expect(link).toEqual(['restored', 'lost', 'restored']);
    await eventually(async () => (await subscriptions(channels)) === channels.length);
    const calls = await commandCalls(redis.current);
    const subscribes = calls.get(IS_CLUSTER ? 'ssubscribe' : 'subscribe');
    expect(subscribes).toBe(Math.ceil(channels.length / BATCH_CHANNELS));
    await admin.publish('channel-1499', 'again');
    await eventually(() => messages.length === 1);
  });

  it('notices a frozen Redis within 3 s, and recovers after it thaws', async () => {
    const { subscriber, subscribed, link } = observe();
    subscriber.want('a');
    subscriber.start();
    await eventually(() => subscribed.has('a'));
    await redis.current.freeze();
    const frozenAt = performance.now();
    await eventually(() => link.includes('lost'));
    expect(performance.now() - frozenAt).toBeLessThan(3_000 + BUSY_MACHINE_MS);
    await redis.current.thaw();
    await eventually(() => subscriber.linked);
    expect(link).toEqual(['restored', 'lost', 'restored']);
    await eventually(async () => (await subscriptions(['a'])) === 1);
  });

  it('isolates the one channel that the ACL forbids, and subscribes to it once it is permitted', async () => {
    const channels = names(200);
    const forbidden = 'channel-123';
    const allowed = channels.filter((channel) => channel !== forbidden).map((name) => `&${name}`);
    await admin.call(
      'ACL',
      'SETUSER',
      'edge',
      'on',
      '>secret',
      '+@all',
      'resetchannels',
      ...allowed,
    );
    const { subscriber, subscribed, refusals, link } = observe({
      url: redis.current.url.replace('redis://', 'redis://edge@'),
      password: 'secret',
    });
    for (const channel of channels) subscriber.want(channel);
    subscriber.start();
    await eventually(() => subscriber.linked);
    expect(subscribed.size).toBe(channels.length - 1);
    expect(refusals).toMatchObject([{ channel: forbidden, code: 'NOPERM' }]);
    await eventually(() => refusals.length === 2);
    await admin.call('ACL', 'SETUSER', 'edge', `&${forbidden}`);
    await eventually(() => subscribed.has(forbidden));
    expect(link).toEqual(['restored']);
  });

  it('keeps the other channels after the ACL has forbidden one', async () => {
    await admin.call('ACL', 'SETUSER', 'edge', 'on', '>secret', '+@all', 'allchannels');
    const { subscriber, subscribed, refusals, link } = observe({
      url: redis.current.url.replace('redis://', 'redis://edge:secret@'),
    });
    for (const channel of ['a', 'b', 'c']) subscriber.want(channel);
    subscriber.start();
    await eventually(() => subscriber.linked);
    await admin.call('ACL', 'SETUSER', 'edge', 'resetchannels', '&a', '&c');
    await eventually(() => link.length === 3);
    expect(link).toEqual(['restored', 'lost', 'restored']);
    expect([...subscribed].sort()).toEqual(['a', 'c']);
    expect(refusals).toMatchObject([{ channel: 'b', code: 'NOPERM' }]);
  });

  it('survives being killed repeatedly without leaking listeners', async () => {
    const channels = names(50);
    const { subscriber, subscribed, link } = observe();
    for (const channel of channels) subscriber.want(channel);
    subscriber.start();
    await eventually(() => subscriber.linked);
    const warnings: Error[] = [];
    const collect = (warning: Error): void => void warnings.push(warning);
    process.on('warning', collect);
    onTestFinished(() => void process.off('warning', collect));

    for (let kill = 1; kill <= 10; kill++) {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      // The shards of a cluster may be lost one after the other.
      await eventually(() => link.length >= 1 + 2 * kill && subscriber.linked);
      expect(subscribed.size).toBe(channels.length);
    }
    if (!IS_CLUSTER) expect(link).toHaveLength(21);
    expect(link).toEqual(link.map((_, i) => (i % 2 === 0 ? 'restored' : 'lost')));
    expect(await subscriptions(channels)).toBe(channels.length);
    expect(warnings).toEqual([]);
  });

  it('ends in the wanted state after wants and unwants race with lost links', async () => {
    const channels = names(40);
    const wanted = new Set<string>();
    const { subscriber, subscribed } = observe();
    subscriber.start();
    for (let round = 0; round < 2_000; round++) {
      const channel = channels[(round * 7 + (round >> 3)) % channels.length] ?? '';
      if (wanted.delete(channel)) subscriber.unwant(channel);
      else {
        wanted.add(channel);
        subscriber.want(channel);
      }
      if (round % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (round % 400 === 399) await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    }
    await eventually(() => subscriber.linked && [...wanted].every((name) => subscribed.has(name)));
    await eventually(async () => (await subscriptions(channels)) === wanted.size);
    expect(await subscriptions([...wanted])).toBe(wanted.size);
  });

  it('names its connection, and closes it on stop', async () => {
    const { subscriber } = observe();
    subscriber.start();
    await eventually(() => subscriber.linked);
    const list = async (): Promise<string> => String(await admin.client('LIST'));
    expect(await list()).toContain('name=tradewind-test-subscriber');
    await subscriber.stop();
    await eventually(async () => !(await list()).includes('tradewind-test'));
  });
});
