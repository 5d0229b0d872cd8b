import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { type RedisCluster, startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { startEdge, startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

/** A Cluster and services start, on a busy machine. */
const START_DEADLINE_MS = 120_000;

const DEADLINE_MS = 90_000;

/** How long a publication for a frozen shard waits, in ms; its link is found dead within less. */
const FROZEN_MAX_AGE_MS = 6_000;

/** A queue that a test fills, in publications; one shard may have half of it. */
const QUEUE_ITEMS = 20;
const SHARE = QUEUE_ITEMS / 2;

/** How often the other shards are published to while one fills its share. */
const ROUNDS = 20;

/** Enough for each of three masters to have some. */
const CHANNELS = Array.from({ length: 12 }, (_, i) => `ingest-${i}`);

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: 0 });
}, START_DEADLINE_MS);

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

interface Line {
  readonly channel: string;
  readonly data: unknown;
}

/** Publishes lines in one request. Resolves with the results of each. */
async function post(ingestUrl: string, lines: readonly Line[]): Promise<readonly unknown[]> {
  const response = await fetch(`${ingestUrl}/v1/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.map((line) => JSON.stringify(line)).join('\n'),
  });
  const { results } = (await response.json()) as { results: readonly unknown[] };
  return results;
}

/** Starts an ingest whose queue is small and keeps what waits. The caller ends it. */
async function startSmallQueue({ url }: RedisCluster) {
  const ingest = await startIngest({
    ...{ ...CLUSTER, REDIS_URL: url, INGEST_MAX_AGE_MS: '60000' },
    ...{ INGEST_QUEUE_ITEMS: String(QUEUE_ITEMS), INGEST_MAX_ITEMS: String(SHARE) },
  });
  await untilLinked(ingest);
  const untilQueued = (count: number) =>
    eventually(async () => {
      const metrics = await ingest.metrics();
      return metrics.sum('tradewind_ingest_queue_publications') === count;
    });
  const publish = async (channel: string, body: string) => {
    const url = `${ingest.url}/v1/channels/${channel}`;
    const response = await fetch(url, { method: 'POST', body });
    return { status: response.status, text: await response.text() };
  };
  return { ...ingest, publish, untilQueued };
}

async function historyOf(channel: string): Promise<unknown[]> {
  const { control } = await cluster.masterOf(channel);
  const entries = await control.xrange(`{${channel}}:log`, '-', '+');
  return entries.map(([, fields]) => JSON.parse(fields[3]!));
}

const CLUSTER = { REDIS_MODE: 'cluster' } as const;

describe('ingest on a Redis Cluster', () => {
  it('publishes on all shards, once and in order, also while a slot moves', {
    timeout: DEADLINE_MS,
  }, async () => {
    await using edge = await startEdge({ ...CLUSTER, REDIS_URL: cluster.url });
    await using ingest = await startIngest({
      ...{ ...CLUSTER, REDIS_URL: cluster.url, INGEST_MAX_AGE_MS: '60000' },
    });
    await untilLinked(edge);
    await untilLinked(ingest);
    await using client = await TestClient.connect(edge.wsUrl, { channels: CHANNELS });
    const lines = Array.from({ length: 240 }, (_, i) => ({
      ...{ channel: CHANNELS[i % CHANNELS.length]!, data: { number: i } },
    }));
    const results = await post(ingest.url, lines);
    expect(results).toHaveLength(lines.length);
    expect(results.filter((result) => !('offset' in (result as object)))).toEqual([]);
    await client.waitFor(() => client.publications.length === lines.length);
    const owners = new Set();
    for (const channel of CHANNELS) {
      owners.add(await cluster.masterOf(channel));
      const sent = lines.filter((line) => line.channel === channel).map(({ data }) => data);
      expect(await historyOf(channel)).toEqual(sent);
      const received = client.publicationsOn(channel).map(({ data }) => JSON.parse(data));
      expect(received).toEqual(sent);
    }
    expect(owners.size, 'control: all masters have some').toBe(3);

    const [channel = ''] = CHANNELS;
    const slot = await cluster.slotOf(channel);
    const owner = await cluster.masterOf(channel);
    const to = cluster.nodes.find((node) => node !== owner)!;
    await cluster.beginMove(slot, to, 3);
    const more = Array.from({ length: 30 }, (_, i) => ({ channel, data: { number: 240 + i } }));
    const [moved] = await Promise.all([post(ingest.url, more), cluster.moveSlot(slot, to)]);
    expect(moved.filter((result) => !('offset' in (result as object)))).toEqual([]);
    const all = [...lines.filter((line) => line.channel === channel), ...more];
    expect(await historyOf(channel)).toEqual(all.map(({ data }) => data));
    expect(await cluster.masterOf(channel)).toBe(to);
    await client.waitFor(() => client.publicationsOn(channel).length === all.length);
    expect(client.publicationsOn(channel).map(({ data }) => JSON.parse(data))).toEqual(
      all.map(({ data }) => data),
    );
  });

  it('reaches by REDIS_PUBSUB=classic who can only PUBLISH and SUBSCRIBE', {
    timeout: DEADLINE_MS,
  }, async () => {
    const classic = { ...CLUSTER, REDIS_URL: cluster.url, REDIS_PUBSUB: 'classic' };
    await using edge = await startEdge(classic);
    await using sharded = await startEdge({ ...CLUSTER, REDIS_URL: cluster.url });
    await using ingest = await startIngest(classic);
    for (const service of [edge, sharded, ingest]) await untilLinked(service);
    const channels = CHANNELS.map((name) => `classic.${name}`);
    await using client = await TestClient.connect(edge.wsUrl, { channels });
    await using other = await TestClient.connect(sharded.wsUrl, { channels });
    const lines = channels.map((channel) => ({ channel, data: channel }));
    expect(await post(ingest.url, lines)).toHaveLength(lines.length);
    await client.waitFor(() => client.publications.length === lines.length);
    // A backend that knows nothing of Clusters is linked to whichever node it likes.
    for (const [i, channel] of channels.entries())
      await cluster.nodes[i % cluster.nodes.length]!.control.publish(channel, '"plain"');
    await client.waitFor(() => client.publications.length === 2 * lines.length);
    for (const channel of channels)
      expect(client.publicationsOn(channel).map(({ data }) => data)).toEqual([
        JSON.stringify(channel),
        '"plain"',
      ]);
    // The control: who subscribes by SSUBSCRIBE is sent nothing of it.
    expect(other.publications.filter(({ offset }) => offset === undefined)).toEqual([]);
    expect((await fetch(`${edge.url}/readyz`)).status).toBe(200);
  });

  it('publishes to the other shards at once while one is frozen', {
    timeout: DEADLINE_MS,
  }, async () => {
    await using ingest = await startIngest({
      ...{ ...CLUSTER, REDIS_URL: cluster.url, INGEST_MAX_AGE_MS: String(FROZEN_MAX_AGE_MS) },
    });
    await untilLinked(ingest);
    const [frozen, ...others] = cluster.nodes;
    // By default all masters refuse everything with CLUSTERDOWN while one is away.
    for (const { control } of cluster.nodes)
      await control.config('SET', 'cluster-require-full-coverage', 'no');
    const [away = ''] = await cluster.channelsOn(frozen!, 1, 'frozen');
    const served = await Promise.all(
      others.map(async (node) => (await cluster.channelsOn(node, 1, 'served'))[0]!),
    );
    await post(
      ingest.url,
      [away, ...served].map((channel) => ({ channel, data: 'before' })),
    );
    frozen!.pause();
    try {
      let isAnswered = false;
      const refused = post(ingest.url, [{ channel: away, data: 'lost' }]).finally(() => {
        isAnswered = true;
      });
      // The others answer again and again, while the link to the frozen one is found dead, and after it.
      let rounds = 0;
      while (!isAnswered) {
        const askedAt = performance.now();
        const results = await post(
          ingest.url,
          served.map((channel) => ({ channel, data: rounds })),
        );
        expect(results.filter((result) => !('offset' in (result as object)))).toEqual([]);
        expect(performance.now() - askedAt).toBeLessThan(FROZEN_MAX_AGE_MS / 2);
        rounds += 1;
      }
      expect(await refused).toMatchObject([{ error: { code: 'unavailable' } }]);
      expect(rounds).toBeGreaterThan(5);
    } finally {
      frozen!.resume();
    }
    await cluster.untilWhole();
    await eventually(
      async () => {
        const [result] = await post(ingest.url, [{ channel: away, data: 'after' }]);
        return 'offset' in (result as object);
      },
      { deadlineMs: 30_000 },
    );
    for (const channel of served) {
      const [last, before] = (await historyOf(channel)).slice(-2).reverse() as [number, number];
      expect(last - before, 'nothing is published twice').toBe(1);
    }
  });

  it('holds no more than half of its queue for a frozen shard, and publishes to the others meanwhile', {
    timeout: DEADLINE_MS,
  }, async () => {
    await using ingest = await startSmallQueue(cluster);
    const { publish } = ingest;
    const [frozen, ...others] = cluster.nodes;
    for (const { control } of cluster.nodes)
      await control.config('SET', 'cluster-require-full-coverage', 'no');
    const [away = ''] = await cluster.channelsOn(frozen!, 1, 'share-frozen');
    const served = await Promise.all(
      others.map(async (node) => (await cluster.channelsOn(node, 1, 'share'))[0]!),
    );
    const held: Promise<{ status: number }>[] = [];
    frozen!.pause();
    try {
      for (let i = 0; i < SHARE; i += 1) held.push(publish(away, String(i)));
      await ingest.untilQueued(SHARE);
      for (let round = 0; round < ROUNDS; round += 1) {
        const refused = await publish(away, 'too many');
        expect(refused).toMatchObject({ status: 503 });
        expect(refused.text).toContain('The queue of publications that wait for Redis is full');
        for (const channel of served)
          expect(await publish(channel, String(round))).toMatchObject({ status: 200 });
      }
      await ingest.untilQueued(SHARE);
    } finally {
      frozen!.resume();
    }
    const statuses = (await Promise.all(held)).map(({ status }) => status);
    expect(statuses).toEqual(statuses.map(() => 200));
    expect((await historyOf(away)).toSorted()).toEqual(Array.from({ length: SHARE }, (_, i) => i));
    for (const channel of served)
      expect(await historyOf(channel)).toEqual(Array.from({ length: ROUNDS }, (_, round) => round));
  });

  it('has no share where there is one shard, and then its queue is full for all channels: the control', {
    timeout: DEADLINE_MS,
  }, async () => {
    await using alone = await startRedisCluster({ masters: 1, replicas: 0 });
    await using ingest = await startSmallQueue(alone);
    const [only] = alone.nodes;
    const held: Promise<{ status: number }>[] = [];
    only!.pause();
    try {
      for (let i = 0; i < QUEUE_ITEMS; i += 1) held.push(ingest.publish('away', String(i)));
      await ingest.untilQueued(QUEUE_ITEMS);
      expect(await ingest.publish('another', '1')).toMatchObject({ status: 503 });
    } finally {
      only!.resume();
    }
    const statuses = (await Promise.all(held)).map(({ status }) => status);
    expect(statuses).toEqual(statuses.map(() => 200));
  });

  it('keeps revocations on the shard of their key', { timeout: DEADLINE_MS }, async () => {
    await using ingest = await startIngest({ ...CLUSTER, REDIS_URL: cluster.url });
    await untilLinked(ingest);
    const response = await fetch(`${ingest.url}/v1/subjects/u1/disconnect`, { method: 'POST' });
    expect(response.status).toBeLessThan(300);
    await eventually(async () => {
      const { control } = await cluster.masterOf('tw:revocations');
      return (await control.zcard('tw:revocations')) === 1;
    });
  });
});
