import { findFreePort } from '@tradewind/dev';
import { expect, it } from 'vitest';
import { startScriptPublisher } from '../chaos/publishers/script-publisher.ts';
import { TestClient } from '../support/client.ts';
import { startRedisNode } from '../support/redis/redis-topology.ts';
import { rulesOf } from '../support/redis/redis-with-users.ts';
import { startEdge, type TestEdge, untilLinked } from '../support/service.ts';
import { eventually } from '../support/wait.ts';

/** How long a node may take to find out, in ms, also on slow machines. */
const DEADLINE_MS = 15_000;

async function readiness(edge: TestEdge) {
  const response = await fetch(`${edge.adminUrl}/readyz`);
  return { status: response.status, ...((await response.json()) as { reasons: string[] }) };
}

async function metricOf({ adminUrl }: TestEdge, name: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

it('an edge with the user of a publisher is not ready, and says why; with its own it is', async () => {
  await using redis = await startRedisNode();
  for (const user of ['ingest', 'edge'] as const)
    await redis.control.call('ACL', 'SETUSER', user, '>secret', ...rulesOf(user));
  const url = (user: string) => `redis://${user}:secret@${redis.host}:${redis.port}`;

  await using wrong = await startEdge({ REDIS_URL: url('ingest'), EDGE_NODE_ID: 'wrong' });
  await eventually(async () => (await readiness(wrong)).reasons.includes('probe_refused'), {
    deadlineMs: DEADLINE_MS,
  });
  expect(await readiness(wrong)).toMatchObject({ status: 503, reasons: ['probe_refused'] });
  expect(await metricOf(wrong, 'tradewind_edge_probes_refused_total')).toBe(1);
  const line = wrong.output.find((each) => each.includes('"probe_refused"'));
  expect(line).toContain('NOPERM');

  await using right = await startEdge({ REDIS_URL: url('edge'), EDGE_NODE_ID: 'right' });
  await untilLinked(right);
  expect(await readiness(right)).toMatchObject({ status: 200, reasons: [] });
  expect(await metricOf(right, 'tradewind_edge_probes_refused_total')).toBe(0);
});

it('an edge whose Redis is of another kind than REDIS_MODE says which one to set, and warns once', async () => {
  const clusterPort = String(await findFreePort());
  await using clusterNode = await startRedisNode({
    args: ['--cluster-enabled', 'yes', '--cluster-port', clusterPort],
  });
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
  const warnings = asSingle.output.filter((each) => each.includes('"warn"'));
  expect(warnings.filter((each) => each.includes('set REDIS_MODE')).length).toBe(1);
});

it('an edge that reads another database than publishers write to reports it; in the same one it delivers', async () => {
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
  const lines = elsewhere.output.filter((each) => each.includes('"header_rejected_no_meta"'));
  expect(lines, 'one line in ten seconds').toHaveLength(1);
  expect(lines[0]).toContain('BTC.trade');
  expect(await metricOf(same, rejected)).toBe(0);
  expect(same.output.join('\n')).not.toContain('header_rejected');
});
