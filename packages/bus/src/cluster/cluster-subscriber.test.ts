import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type FakeRedis, resp, startFakeRedis } from '../link/testing/fake-redis.ts';
import { RedisRefusedError } from '../redis-errors.ts';
import type { HostAndPort } from '../redis-settings.ts';
import type { ClusterCommands, ClusterListener } from './cluster-commands.ts';
import { type ClusterProbeOptions, ClusterSubscriber } from './cluster-subscriber.ts';
import { hashSlot, SLOTS } from './hash-slot.ts';
import { nodeName, SlotMap } from './slot-map.ts';

const PROBE: ClusterProbeOptions = { name: 'n', probeFailed: () => {}, probeRefused: () => {} };

/** Longer than what is waited for takes on a busy machine, in ms. */
const DEADLINE = { timeout: 10_000 };

/** What a subscriber uses of `ClusterCommands`, with a map that the test writes. */
class FakeCluster {
  readonly slots = new SlotMap();
  /** How often the subscriber asked who owns a slot. */
  lookups = 0;
  isSettled = false;
  heartbeats = 0;
  beat: (name: string, token: string) => void = () => {};
  #listener: ClusterListener | undefined;

  readonly map = this.#map();

  listen(listener: ClusterListener): () => void {
    this.#listener = listener;
    return () => {};
  }

  judge(): void {
    this.isSettled = this.#listener?.isSettled() === true;
  }

  own(masters: readonly HostAndPort[]): void {
    const last = masters.length - 1;
    const ranges = (i: number): [number, number][] => [i === last ? [i, SLOTS - 1] : [i, i]];
    const shards = masters.map((master, i) => ({ ...master, ranges: ranges(i) }));
    this.slots.take({ epoch: 1, isServing: true, masters: shards });
    this.#listener?.mapChanged();
  }

  async heartbeat(_shard: string, name: string, token: string) {
    this.heartbeats += 1;
    this.beat(name, token);
    return { refusal: undefined, connection: 1 };
  }

  async serverIdentity(): Promise<string | undefined> {
    return undefined;
  }

  #map() {
    const { slots } = this;
    return {
      isKnown: true,
      get masters() {
        return slots.masters;
      },
      ownerOf: (slot: number) => {
        this.lookups += 1;
        return slots.ownerOf(slot);
      },
      firstSlotOf: (name: string) => slots.firstSlotOf(name),
      moved: (slot: number, to: HostAndPort) => {
        const isNews = slots.move(slot, to);
        if (isNews) this.#listener?.mapChanged(slot);
      },
    };
  }
}

/** @param answer to SSUBSCRIBE. @param other to other commands; undefined for the usual answer. */
async function fakeNode(
  answer: (channel: string) => string,
  other: (name: string, argument: string) => string | undefined = () => undefined,
): Promise<{ readonly redis: FakeRedis; readonly address: HostAndPort }> {
  const redis = await startFakeRedis(([name = '', argument = '']) => {
    if (name === 'ssubscribe') return answer(argument);
    const reply = other(name, argument);
    if (reply !== undefined || name !== 'sunsubscribe') return reply;
    return resp.unsubscribed(argument, 0).replace('$11\r\n', '$12\r\ns');
  });
  onTestFinished(() => redis[Symbol.asyncDispose]());
  return { redis, address: { host: '127.0.0.1', port: Number(new URL(redis.url).port) } };
}

const accept = (channel: string, count = 1): string =>
  resp.subscribed(channel, count).replace('$9\r\n', '$10\r\ns');

function subscriberOf(cluster: FakeCluster, probe?: ClusterProbeOptions) {
  const subscribed: string[] = [];
  const restored: string[] = [];
  const lost: string[] = [];
  const subscriber = new ClusterSubscriber(
    {
      mode: 'cluster',
      url: 'redis://127.0.0.1:1',
      password: undefined,
      certificateAuthority: undefined,
      connectionName: 'test',
    },
    cluster as unknown as ClusterCommands,
    {
      message: () => {},
      subscribed: (channels) => subscribed.push(...channels),
      refused: () => {},
      moved: () => {},
      shardAdded: () => {},
      shardRemoved: () => {},
      shardLost: (_shard, cause) => lost.push(cause),
      shardRestored: (shard) => restored.push(shard),
    },
    probe,
  );
  onTestFinished(() => subscriber.stop());
  return { subscriber, subscribed, restored, lost };
}

/** No reply to a command for the channel `a`. */
const MOVED_B = `-MOVED ${hashSlot('b')} 127.0.0.1:1\r\n`;

describe('ClusterSubscriber', () => {
  it('looks only at the channels of one slot when a MOVED moves that slot', async () => {
    const there = await fakeNode((channel) => accept(channel));
    const here = await fakeNode(
      (channel) => `-MOVED ${hashSlot(channel)} ${nodeName(there.address)}\r\n`,
    );
    const cluster = new FakeCluster();
    cluster.own([here.address]);
    const { subscriber, subscribed } = subscriberOf(cluster);
    subscriber.start();
    const channels = Array.from({ length: 300 }, (_, i) => `channel-${i}`);
    for (const channel of channels) subscriber.want(channel);
    await vi.waitFor(() => expect(new Set(subscribed)).toEqual(new Set(channels)), DEADLINE);
    expect(cluster.lookups).toBeLessThan(10 * channels.length);
    await vi.waitFor(() => expect(subscriber.shardsDown).toEqual([]), DEADLINE);
    cluster.judge();
    expect(cluster.isSettled).toBe(true);
  });

  it('is not settled while a channel that is wanted has no master', () => {
    const cluster = new FakeCluster();
    const { subscriber } = subscriberOf(cluster);
    subscriber.start();
    subscriber.want('a');
    subscriber.want('b');
    subscriber.unwant('a');
    cluster.judge();
    expect(cluster.isSettled).toBe(false);
    subscriber.unwant('b');
    cluster.judge();
    expect(cluster.isSettled).toBe(true);
  });

  it('replaces a link whose reply to a subscription is of another slot', async () => {
    let isOut = true;
    const here = await fakeNode((channel) => {
      if (!isOut) return accept(channel);
      isOut = false;
      return MOVED_B;
    });
    const cluster = new FakeCluster();
    cluster.own([here.address]);
    const { subscriber, subscribed, lost } = subscriberOf(cluster);
    subscriber.start();
    subscriber.want('a');
    await vi.waitFor(() => expect(subscribed).toEqual(['a']), DEADLINE);
    expect(lost).toEqual(['a reply names the slot of another channel']);
    expect(cluster.slots.masters.size).toBe(1);
  });

  it('replaces a link if the reply to its SUNSUBSCRIBE is of another slot', async () => {
    const here = await fakeNode(
      (channel) => accept(channel),
      (name, channel) => (name === 'sunsubscribe' && channel === 'a' ? MOVED_B : undefined),
    );
    const cluster = new FakeCluster();
    cluster.own([here.address]);
    const { subscriber, subscribed, lost } = subscriberOf(cluster);
    subscriber.start();
    subscriber.want('a');
    subscriber.want('c');
    await vi.waitFor(() => expect(subscribed).toHaveLength(2), DEADLINE);
    subscriber.unwant('a');
    await vi.waitFor(() => expect(subscribed.slice(2)).toEqual(['c']), DEADLINE);
    expect(lost).toEqual(['a reply names the slot of another channel']);
  });

  it('takes no position from a batch that has a reply of another slot', async () => {
    const here = await fakeNode(
      (channel) => accept(channel),
      (name, key) => {
        if (name !== 'getrange') return undefined;
        return key === '{a}:meta' ? MOVED_B : '$4\r\nk:42\r\n';
      },
    );
    const cluster = new FakeCluster();
    cluster.own([here.address]);
    const { subscriber, subscribed, lost } = subscriberOf(cluster);
    subscriber.start();
    for (const channel of ['a', 'b']) subscriber.want(channel);
    await vi.waitFor(() => expect(subscribed).toHaveLength(2), DEADLINE);
    const outcomes = await subscriber.readPositions(['a', 'b']);
    const unavailable = { outcome: 'unknown' };
    expect(outcomes).toMatchObject([unavailable, unavailable]);
    expect(lost).toEqual(['a reply names the slot of another channel']);
  });

  it('looks for no place for the probe of a master that has no slot left', async () => {
    const here = await fakeNode((channel) => accept(channel));
    const there = await fakeNode((channel) => accept(channel));
    const cluster = new FakeCluster();
    cluster.own([here.address, there.address]);
    const { subscriber } = subscriberOf(cluster, PROBE);
    subscriber.start();
    await vi.waitFor(() => expect(cluster.heartbeats).toBeGreaterThan(0), DEADLINE);
    cluster.map.moved(0, there.address);
    cluster.beat = () => {
      throw new RedisRefusedError(`MOVED 0 ${nodeName(there.address)}`);
    };
    cluster.lookups = 0;
    const seen = cluster.heartbeats;
    await vi.waitFor(() => expect(cluster.heartbeats).toBeGreaterThan(seen + 6), DEADLINE);
    expect(cluster.slots.firstSlotOf(nodeName(here.address))).toBeUndefined();
    expect(cluster.lookups).toBeLessThan(2 * SLOTS);
  });

  it('stays proven when masters are added that are not proven yet', async () => {
    const here = await fakeNode((channel) => accept(channel));
    const cluster = new FakeCluster();
    cluster.beat = (name, token) => {
      const message = resp.message(`tw:probe:${name}`, token).replace('$7\r\n', '$8\r\ns');
      for (const socket of here.redis.sockets) socket.write(message);
    };
    cluster.own([here.address]);
    const { subscriber, restored } = subscriberOf(cluster, PROBE);
    subscriber.start();
    expect(subscriber.provenOnce).toBe(false);
    await vi.waitFor(() => expect(restored).toEqual([nodeName(here.address)]), DEADLINE);
    cluster.own([here.address, { host: '127.0.0.1', port: 1 }, { host: '127.0.0.1', port: 2 }]);
    expect(subscriber.shards).toHaveLength(3);
    expect(subscriber.provenOnce).toBe(true);
  });
});
