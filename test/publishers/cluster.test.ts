import { readHeader } from '@tradewind/bus';
import { createPublisher } from '@tradewind/publisher';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../support/redis/redis-cluster.ts';
import { eventually } from '../support/suite/wait.ts';
import { CLUSTER_LIBRARIES, connectCluster, removeBuilds } from './libraries.ts';
import type { DriverResult, PublisherDriver } from './publisher-driver.ts';

/** Includes an installation by apt, and the build of a driver. */
const START_DEADLINE_MS = 300_000;

/** For what waits until a Cluster has noticed that a master is gone, in ms. */
const FAULT_DEADLINE_MS = 90_000;

/** Enough for each of three masters to have some. */
const CHANNELS = Array.from({ length: 12 }, (_, i) => `channel-${i}`);

let cluster: RedisCluster;
let masters: readonly ClusterNode[];

beforeAll(async () => {
  cluster = await startRedisCluster();
  masters = cluster.nodes.slice(0, 3);
}, START_DEADLINE_MS);

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await removeBuilds();
});

/** What a subscriber of a channel gets from the channel's master. The caller ends it. */
async function subscribe(
  channel: string,
  how: 'ssubscribe' | 'subscribe',
): Promise<{ readonly received: Buffer[] } & Disposable> {
  const received: Buffer[] = [];
  const subscriber: Redis = (await cluster.masterOf(channel)).control.duplicate();
  subscriber.on('messageBuffer', (_channel, payload) => received.push(payload));
  subscriber.on('smessageBuffer', (_channel: Buffer, payload: Buffer) => received.push(payload));
  await subscriber[how](channel);
  return { received, [Symbol.dispose]: () => subscriber.disconnect() };
}

/** The payloads of a channel's history, oldest first. */
async function historyOf(channel: string): Promise<string[]> {
  const { control } = await cluster.masterOf(channel);
  const entries = await control.xrange(`{${channel}}:log`, '-', '+');
  return entries.map(([, fields]) => fields[3]!);
}

/** A master that does not have the channel's slot. */
async function otherMaster(channel: string): Promise<ClusterNode> {
  const owner = await cluster.masterOf(channel);
  return masters.find((node) => node !== owner)!;
}

describe.each(CLUSTER_LIBRARIES)('$name', (library) => {
  let driver: PublisherDriver;
  let missing: string | undefined;

  beforeAll(async () => {
    const started = await library.start(masters[0]!.url);
    if (typeof started === 'string') missing = started;
    else driver = started;
  }, START_DEADLINE_MS);

  afterAll(async () => {
    await driver?.[Symbol.asyncDispose]();
  });

  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing);
  });

  it('reaches the subscribers of the shard, and no others', async () => {
    const channel = `reach-${library.name.replaceAll(' ', '-')}`;
    using sharded = await subscribe(channel, 'ssubscribe');
    using classic = await subscribe(channel, 'subscribe');
    const [result] = await driver.publish([{ channel, text: '1' }]);
    expect(result).toMatchObject({ offset: 1, duplicate: false });
    await eventually(() => sharded.received.length === 1);
    const header = readHeader(sharded.received[0]!);
    expect(header).toMatchObject({ kind: 'sequenced', offset: 1 });
    expect(classic.received).toEqual([]);
  });

  it('publishes many on all shards, in the order of each channel', async () => {
    const prefix = `many-${library.name.replaceAll(' ', '-')}-`;
    const items = Array.from({ length: 240 }, (_, i) => ({
      ...{ channel: `${prefix}${CHANNELS[i % CHANNELS.length]}`, text: `${i}` },
    }));
    const results = await driver.publish(items, { many: true });
    expect(results.filter((result) => 'code' in result)).toEqual([]);
    const owners = new Set<ClusterNode>();
    for (const [lane, name] of CHANNELS.entries()) {
      owners.add(await cluster.masterOf(`${prefix}${name}`));
      const expected = items.filter((_, i) => i % CHANNELS.length === lane);
      expect(await historyOf(`${prefix}${name}`)).toEqual(
        expected.map(({ text }) => text).slice(-100),
      );
    }
    expect(owners.size, 'control: all masters have some').toBe(3);
  });

  it('publishes each once and in order while the slot of the channel moves to another master', {
    timeout: FAULT_DEADLINE_MS,
  }, async () => {
    const channel = `moving-${library.name.replaceAll(' ', '-')}`;
    const published: string[] = [];
    const results: DriverResult[] = [];
    let number = 0;
    const publish = async (count: number): Promise<void> => {
      const items = Array.from({ length: count }, () => ({ channel, text: `${number++}` }));
      published.push(...items.map(({ text }) => text));
      const options = { many: count > 1, deadlineMs: 60_000 };
      results.push(...(await driver.publish(items, options)));
    };
    await publish(5);
    const to = await otherMaster(channel);
    const slot = await cluster.slotOf(channel);
    await cluster.beginMove(slot, to, 3);
    // Until the slot has moved no idempotency key can be looked up at its old owner, so these wait.
    const meanwhile = publish(1).then(() => publish(10));
    await Promise.all([meanwhile, cluster.moveSlot(slot, to)]);
    await publish(5);
    expect(results.filter((result) => 'code' in result)).toEqual([]);
    expect(await cluster.masterOf(channel)).toBe(to);
    expect(await historyOf(channel)).toEqual(published);
  });
});

describe('TypeScript on a Cluster of ioredis', () => {
  it('publishes by PUBLISH where it is told to, for edges that subscribe by SUBSCRIBE', async () => {
    using sharded = await subscribe('classic', 'ssubscribe');
    using classic = await subscribe('classic', 'subscribe');
    const redis = connectCluster(masters[0]!.url);
    try {
      await createPublisher(redis, { sharded: false }).publish('classic', '1');
      await eventually(() => classic.received.length === 1);
      expect(sharded.received).toEqual([]);
    } finally {
      redis.disconnect();
    }
  });

  // Last, because one master fewer is there afterwards.
  it('publishes on other shards while a master is away, and on its shard once the replica has taken over', {
    timeout: FAULT_DEADLINE_MS,
  }, async () => {
    const redis = connectCluster(masters[0]!.url);
    try {
      const publisher = createPublisher(redis, { deadlineMs: 60_000 });
      const victim = masters[2]!;
      const owners = await Promise.all(CHANNELS.map((channel) => cluster.masterOf(channel)));
      const away = CHANNELS.find((_, i) => owners[i] === victim)!;
      const others = CHANNELS.filter((_, i) => owners[i] !== victim);
      for (const channel of [away, ...others]) await publisher.publish(channel, 'before');
      await victim.control.wait(1, 1_000);
      victim.pause();
      const waiting = publisher.publish(away, 'after', { key: 'k' });
      for (const channel of others)
        expect(await publisher.publish(channel, 'meanwhile', { deadlineMs: 8_000 })).toBeDefined();
      await waiting;
      expect(await publisher.publish(away, 'after', { key: 'k' })).toMatchObject({
        duplicate: true,
      });
      victim.resume();
      const { control } = cluster.nodes[5]!;
      const entries = await control.xrange(`{${away}}:log`, '-', '+');
      expect(entries.map(([, fields]) => fields[3])).toEqual(['before', 'after']);
    } finally {
      masters[2]!.resume();
      redis.disconnect();
    }
  });
});
