import { findFreePort } from '@tradewind/dev';
import { expect, it, onTestFinished } from 'vitest';
import { startScriptPublisher } from '../../chaos/publishers/script-publisher.ts';
import { TestClient } from '../../support/clients/client.ts';
import {
  connectBackend,
  IS_CLUSTER,
  serviceEnv,
  startRedisOfMode,
} from '../../support/redis/redis-mode.ts';
import { startRedisNode } from '../../support/redis/redis-topology.ts';
import { rulesOf } from '../../support/redis/redis-with-users.ts';
import type { TestRedis } from '../../support/redis/test-redis.ts';
import { startEdge, type TestEdge, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

/** How long a node may take to find out, in ms, also on slow machines. */
const DEADLINE_MS = 40_000;

async function readiness(edge: TestEdge) {
  const response = await fetch(`${edge.adminUrl}/readyz`);
  return { status: response.status, ...((await response.json()) as { reasons: string[] }) };
}

async function metricOf({ adminUrl }: TestEdge, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

/** Gives a Redis, or each node of a Cluster, the users of edges and ingest. */
async function giveUsers(redis: TestRedis): Promise<void> {
  const admin = connectBackend(redis);
  onTestFinished(() => admin.disconnect());
  for (const user of ['ingest', 'edge'] as const)
    await admin.call('ACL', 'SETUSER', user, '>secret', ...rulesOf(user));
}

it('an edge with the user of a publisher is not ready, and says why; with its own it is', async () => {
  await using redis = await startRedisOfMode();
  await giveUsers(redis);
  const env = (user: string) => serviceEnv(redis, `${user}:secret@`);

  await using wrong = await startEdge({ ...env('ingest'), EDGE_NODE_ID: 'wrong' });
  await eventually(async () => (await readiness(wrong)).reasons.includes('probe_refused'), {
    deadlineMs: DEADLINE_MS,
  });
  expect(await readiness(wrong)).toMatchObject({ status: 503, reasons: ['probe_refused'] });
  // Once for each master.
  await eventually(
    async () => {
      const refused = await metricOf(wrong, 'tradewind_edge_probes_refused_total');
      expect(refused).toBe(IS_CLUSTER ? 3 : 1);
    },
    { deadlineMs: DEADLINE_MS },
  );
  // A line may reach this process later than an answer that was sent after it.
  await wrong.waitForLine(
    (line) => (line.includes('"probe_refused"') && line.includes('NOPERM')) || undefined,
    DEADLINE_MS,
  );

  await using right = await startEdge({ ...env('edge'), EDGE_NODE_ID: 'right' });
  await untilLinked(right);
  expect(await readiness(right)).toMatchObject({ status: 200, reasons: [] });
  expect(await metricOf(right, 'tradewind_edge_probes_refused_total')).toBe(0);
});

it('an edge whose user is missing on one node of a Cluster names the node, and serves the other shards', async ({
  skip,
}) => {
  skip(!IS_CLUSTER, 'it needs a Cluster');
  await using redis = await startRedisOfMode();
  await giveUsers(redis);
  const [forgotten, other] = redis.cluster!.nodes;
  await forgotten!.control.call('ACL', 'DELUSER', 'edge');
  await using edge = await startEdge({
    ...serviceEnv(redis, 'edge:secret@'),
    EDGE_NODE_ID: 'edge-1',
  });
  const place = `${forgotten!.host}:${forgotten!.port}`;
  const says = (line: string) => line.includes('WRONGPASS') && line.includes(place);
  await edge.waitForLine((line) => says(line) || undefined, DEADLINE_MS);
  await eventually(async () => expect((await readiness(edge)).status).toBe(200), {
    deadlineMs: DEADLINE_MS,
  });
  const [channel = ''] = await redis.cluster!.channelsOn(other!, 1, 'served');
  const [away = ''] = await redis.cluster!.channelsOn(forgotten!, 1, 'away');
  await using client = await TestClient.connect(edge.wsUrl, { channels: [channel] });
  await other!.control.spublish(channel, '1');
  await client.waitFor(({ publications }) => publications.length === 1);
  expect((await client.subscribe([away])).rejected).toMatchObject([{ code: 'unavailable' }]);

  await forgotten!.control.call('ACL', 'SETUSER', 'edge', '>secret', ...rulesOf('edge'));
  await untilLinked(edge);
  await client.subscribe([away]);
  await forgotten!.control.spublish(away, '2');
  await client.waitFor((seen) => seen.publicationsOn(away).length === 1);
});

/** The first node of a whole Cluster, or a node that is alone in its own. */
async function startClusterNode() {
  if (IS_CLUSTER) {
    const redis = await startRedisOfMode();
    return { ...redis, url: redis.cluster!.nodes[0]!.url };
  }
  const clusterPort = String(await findFreePort());
  return await startRedisNode({
    args: ['--cluster-enabled', 'yes', '--cluster-port', clusterPort],
  });
}

it('an edge whose Redis is of another kind than REDIS_MODE says which one to set, and warns once', async () => {
  await using clusterNode = await startClusterNode();
  await using plain = await startRedisNode();
  await using asSingle = await startEdge({ REDIS_URL: clusterNode.url });
  await using asCluster = await startEdge({ REDIS_URL: plain.url, REDIS_MODE: 'cluster' });
  await using asSentinel = await startEdge({
    REDIS_URL: `${plain.url}/trades`,
    REDIS_MODE: 'sentinel',
  });
  for (const [edge, advice] of [
    [asSingle, 'it is a node of a Redis Cluster: set REDIS_MODE=cluster'],
    [asCluster, 'it is no Redis Cluster: set REDIS_MODE=single'],
    [asSentinel, 'it is no Sentinel: set REDIS_MODE=single'],
  ] as const) {
    const says = (line: string) => line.includes(advice) && line.includes('"warn"');
    await edge.waitForLine((line) => says(line) || undefined, DEADLINE_MS);
    expect((await readiness(edge)).reasons).toContain('not_linked_yet');
  }
  const advices = asSingle.output.filter((each) => each.includes('set REDIS_MODE'));
  // The link of commands may come first; if it comes later, it repeats no warning.
  const first = advices.findIndex((each) => each.includes('"not_linked_yet"'));
  expect(advices.slice(first).filter((each) => each.includes('"warn"'))).toHaveLength(1);
});

it('the nodes of a Cluster as one Redis, or another database of it, end the start with what to set', async ({
  skip,
}) => {
  skip(!IS_CLUSTER, 'it needs a Cluster');
  await using redis = await startRedisOfMode();
  const starts = async (changes: Readonly<Record<string, string>>) => {
    await using _ = await startEdge({ ...serviceEnv(redis), ...changes });
  };
  await expect(starts({ REDIS_MODE: 'single' })).rejects.toThrow('set REDIS_MODE=cluster');
  await expect(starts({ REDIS_URL: `${redis.url}/1` })).rejects.toThrow(
    'a cluster has one database, 0',
  );
  await expect(starts({ REDIS_URL: `${redis.url}/trades` })).rejects.toThrow(
    'set REDIS_MODE=sentinel',
  );
  // The control.
  await starts({});
});

it('an edge that reads another database than publishers write to reports it; in the same one it delivers', async ({
  skip,
}) => {
  skip(IS_CLUSTER, 'a Cluster has one database');
  await using redis = await startRedisNode();
  await using elsewhere = await startEdge({
    REDIS_URL: `${redis.url}/1`,
    EDGE_NODE_ID: 'elsewhere',
  });
  await using same = await startEdge({ REDIS_URL: redis.url, EDGE_NODE_ID: 'same' });
  await untilLinked(elsewhere);
  await untilLinked(same);
  await using stranger = await TestClient.connect(elsewhere.wsUrl, { channels: ['BTC.trade'] });
  await using client = await TestClient.connect(same.wsUrl, { channels: ['BTC.trade'] });
  await using publisher = startScriptPublisher(redis.url);
  const rejected = 'tradewind_edge_headers_rejected_total{reason="no_meta"}';
  for (const n of [1, 2, 3]) await publisher.publish('BTC.trade', String(n));

  await eventually(() => client.publications.length === 3, { deadlineMs: DEADLINE_MS });
  await eventually(async () => (await metricOf(elsewhere, rejected)) === 3, {
    deadlineMs: DEADLINE_MS,
  });
  expect(stranger.publications).toEqual([]);
  const isOfHeader = (line: string) => line.includes('"header_rejected_no_meta"');
  await elsewhere.waitForLine((line) => isOfHeader(line) || undefined, DEADLINE_MS);
  const lines = elsewhere.output.filter(isOfHeader);
  expect(lines, 'one line in ten seconds').toHaveLength(1);
  expect(lines[0]).toContain('BTC.trade');
  expect(await metricOf(same, rejected)).toBe(0);
  expect(same.output.join('\n')).not.toContain('header_rejected');
});
