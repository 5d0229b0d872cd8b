import { readFileSync } from 'node:fs';
import { hashSlot, NODES_KEY, nodeStateKey, readNodeState } from '@tradewind/bus';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import {
  type ClusterNode,
  type RedisCluster,
  startRedisCluster,
} from '../../support/redis/redis-cluster.ts';
import { startEdge, type TestEdge, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

/** From the death of a master to publications of its channels again, in ms: the cluster's own time is most of it. */
const FAILOVER_MS = 60_000;

const SCRIPT = readFileSync(
  new URL('../../../docs/publish/tradewind_publish_1.lua', import.meta.url),
  'utf8',
);

let cluster: RedisCluster;
let edge: TestEdge;
let backend: Cluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
  edge = await startEdge({
    REDIS_MODE: 'cluster',
    REDIS_URL: cluster.url,
    EDGE_NODE_ID: 'edge-1',
    EDGE_LINGER_MS: '100',
    EDGE_WORKERS: process.env.TEST_EDGE_WORKERS ?? '1',
  });
  backend = new Cluster(
    cluster.nodes.map(({ host, port }) => ({ host, port })),
    { retryDelayOnFailover: 100, retryDelayOnClusterDown: 100, slotsRefreshInterval: 1_000 },
  );
  backend.on('error', () => {});
  await untilLinked(edge);
});

afterAll(async () => {
  backend?.disconnect();
  await edge?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

/** Returns the offset. */
async function publish(channel: string, payload: string): Promise<number> {
  const keys = [`{${channel}}:meta`, `{${channel}}:log`];
  const args = [channel, payload, '1000', '600000', '', '0', '0', 'sharded'];
  const [, offset] = (await backend.eval(SCRIPT, 2, ...keys, ...args)) as [string, number];
  return offset;
}

async function subscribersOn(node: ClusterNode, channel: string): Promise<number> {
  const [, count] = (await node.control.call('PUBSUB', 'SHARDNUMSUB', channel)) as [string, number];
  return Number(count);
}

/** One channel on each of the three shards. */
async function channelsOfAll(prefix: string): Promise<readonly string[]> {
  const [first] = cluster.nodes.filter(({ control }) => control.status === 'ready');
  const shards = (await cluster.seenBy(first!)).filter(({ slots }) => slots.length > 0);
  return shards.map(({ slots }) => {
    for (let n = 0; n < 10_000; n += 1) {
      const slot = hashSlot(`${prefix}-${n}`);
      if (slots.some(([from, to]) => slot >= from && slot <= to)) return `${prefix}-${n}`;
    }
    throw new Error('no name falls into this shard');
  });
}

describe('an edge on a Redis Cluster', () => {
  it('subscribes to each channel on its shard, and brings plain and sequenced publications', async () => {
    const channels = await channelsOfAll('flow');
    await using client = await TestClient.connect(edge.wsUrl, { channels });
    for (const channel of channels) {
      await (await cluster.masterOf(channel)).control.spublish(channel, '{"plain":true}');
      await publish(channel, '{"n":1}');
    }
    await client.waitFor(({ publications }) => publications.length === 6);
    for (const channel of channels) {
      const owner = await cluster.masterOf(channel);
      for (const node of cluster.nodes.slice(0, 3))
        expect(await subscribersOn(node, channel)).toBe(node.id === owner.id ? 1 : 0);
      expect(client.publicationsOn(channel).map(({ offset }) => offset)).toEqual([undefined, 1]);
    }
  });

  it('subscribes on a shard only while a client wants one of its channels', async () => {
    const channels = await channelsOfAll('wanted');
    const [first = '', ...others] = channels;
    const held = async () => {
      const counts = await Promise.all(
        channels.map(async (channel) =>
          Promise.all(cluster.nodes.slice(0, 3).map((node) => subscribersOn(node, channel))),
        ),
      );
      return counts.map((each) => each.reduce((sum, count) => sum + count, 0));
    };
    await using one = await TestClient.connect(edge.wsUrl, { channels: [first] });
    expect(await held()).toEqual([1, 0, 0]);
    await using two = await TestClient.connect(edge.wsUrl, { channels });
    expect(await held()).toEqual([1, 1, 1]);
    await two.unsubscribe(others);
    await eventually(async () => expect(await held()).toEqual([1, 0, 0]));
    await Promise.all([one.close(), two.close()]);
    await eventually(async () => expect(await held()).toEqual([0, 0, 0]));
  });

  it('brings back what a client missed, from each shard', async () => {
    const channels = await channelsOfAll('resume');
    const since = new Map<string, { epoch: string; offset: number }>();
    {
      await using first = await TestClient.connect(edge.wsUrl, { channels });
      for (const channel of channels) await publish(channel, '1');
      await first.waitFor(({ publications }) => publications.length === 3);
      for (const { channel, epoch } of first.controlsOf('resync'))
        since.set(channel, { epoch, offset: 1 });
    }
    for (const channel of channels) for (const n of [2, 3]) await publish(channel, String(n));
    await using again = await TestClient.connect(edge.wsUrl, {
      channels: channels.map((channel) => ({ channel, since: since.get(channel)! })),
    });
    await again.waitFor(({ publications }) => publications.length === 6);
    for (const channel of channels)
      expect(again.publicationsOn(channel).map(({ offset }) => offset)).toEqual([2, 3]);
  });

  it('follows a slot that moves to another master and back, without a hole', async () => {
    const [channel = ''] = await channelsOfAll('moving');
    const slot = hashSlot(channel);
    const from = await cluster.ownerOf(slot);
    const to = cluster.nodes.slice(0, 3).find(({ id }) => id !== from.id)!;
    await using client = await TestClient.connect(edge.wsUrl, { channels: [channel] });
    let last = 0;
    let isRunning = true;
    const publishing = (async () => {
      while (isRunning) {
        last = await publish(channel, String(last + 1)).catch(() => last);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    for (const target of [to, from, to]) {
      await eventually(() => client.publications.length > 20);
      await cluster.moveSlot(slot, target);
      await eventually(async () => (await subscribersOn(target, channel)) === 1);
    }
    isRunning = false;
    await publishing;
    await client.waitFor(({ publications }) => publications.length === last);
    expect(client.publications.map(({ offset }) => offset)).toEqual(
      Array.from({ length: last }, (_, i) => i + 1),
    );
    expect(client.controlsOf('gap')).toEqual([]);
    expect(client.controlsOf('unsubscribed')).toEqual([]);
  });

  it('follows the replica that takes over from a killed master; other shards do not notice', async () => {
    const channels = await channelsOfAll('killed');
    // What edges tell the console is on another shard.
    const { id } = await cluster.masterOf(NODES_KEY);
    const masters = await Promise.all(channels.map((each) => cluster.masterOf(each)));
    const at = masters.findIndex((each) => each.id !== id);
    const [channel = '', other = ''] = [...channels.slice(at), ...channels.slice(0, at)];
    const master = masters[at]!;
    await using client = await TestClient.connect(edge.wsUrl, { channels: [...channels] });
    for (const each of channels) await publish(each, '1');
    await client.waitFor(({ publications }) => publications.length === 3);
    await master.control.wait(1, 5_000);

    await master.kill();
    const shards = async () =>
      readNodeState(await backend.get(nodeStateKey('edge-1', true)))?.shards;
    await eventually(async () => {
      return (await shards())?.names.includes(`${master.host}:${master.port}`) === true;
    });
    await publish(other, '2');
    await client.waitFor((seen) => seen.publicationsOn(other).length === 2);
    await eventually(async () => (await publish(channel, '2')) >= 2, { deadlineMs: FAILOVER_MS });
    await client.waitFor(
      (seen) => seen.publicationsOn(channel).some(({ data }) => data === '2'),
      FAILOVER_MS,
    );
    const offsets = client.publicationsOn(channel).map(({ offset }) => offset!);
    expect(offsets).toEqual(Array.from({ length: offsets.length }, (_, i) => i + 1));
    await untilLinked(edge);
    await eventually(async () => (await shards())?.away === 0);
    await client.waitFor((seen) => seen.controlsOf('restored').length > 0);
    expect(client.controlsOf('degraded').map((each) => each.channels)).toContainEqual([channel]);
    expect(client.controlsOf('degraded').every((each) => each.channels?.length === 1)).toBe(true);

    await master.restart('empty');
    await cluster.untilWhole();
    await publish(channel, '3');
    await client.waitFor((seen) => seen.publicationsOn(channel).at(-1)?.data === '3');
  });
});

it('brings what is published by PUBLISH on any node with REDIS_PUBSUB=classic, also after a slot has moved', async () => {
  await using classic = await startEdge({
    ...{ REDIS_MODE: 'cluster', REDIS_PUBSUB: 'classic', REDIS_URL: cluster.url },
    EDGE_NODE_ID: 'edge-classic',
  });
  await untilLinked(classic);
  const channels = await channelsOfAll('classic');
  await using client = await TestClient.connect(classic.wsUrl, { channels });
  const publishClassic = async (channel: string, payload: string) => {
    const keys = [`{${channel}}:meta`, `{${channel}}:log`];
    await backend.eval(SCRIPT, 2, ...keys, channel, payload, '1000', '600000', '', '0', '0');
  };
  const running = cluster.nodes.filter(({ control }) => control.status === 'ready');
  for (const channel of channels) {
    for (const { control } of running) await control.publish(channel, '0');
    await publishClassic(channel, '1');
  }
  await client.waitFor(({ publications }) => publications.length === 3 * (running.length + 1));

  const [moving = ''] = channels;
  const from = await cluster.masterOf(moving);
  const to = await cluster.masterOf(channels[1]!);
  await cluster.moveSlot(hashSlot(moving), to);
  await publishClassic(moving, '2');
  await cluster.moveSlot(hashSlot(moving), from);
  await publishClassic(moving, '3');
  const offsets = () => client.publicationsOn(moving).flatMap(({ offset }) => offset ?? []);
  await client.waitFor(() => offsets().length === 3);
  expect(offsets()).toEqual([1, 2, 3]);
});
