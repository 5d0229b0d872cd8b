import { readFileSync } from 'node:fs';
import { createCommands } from '@tradewind/bus';
import { TestClient } from '../../test/support/clients/client.ts';
import { type ClusterNode, startRedisCluster } from '../../test/support/redis/redis-cluster.ts';
import { startEdge, type TestEdge, untilLinked } from '../../test/support/services/service.ts';
import { eventually } from '../../test/support/suite/wait.ts';

/** Clock ticks of `/proc`, per second. */
const TICKS = 100;

const CHANNELS = Array.from({ length: 60 }, (_, i) => `shards-${i}`);

const EDGES = 2;

/** Publications that are sent together, to all shards side by side. */
const TOGETHER = 60;

const PAYLOAD = JSON.stringify({ price: '64123.5', size: '0.25', side: 'buy', id: 'x'.repeat(96) });

/** What a Cluster and its edges used. */
export interface ShardCost {
  readonly publications: number;
  /** Of each Redis process, and of each edge: hub and one worker, with one client. */
  readonly redisMicros: readonly number[];
  readonly edgeMicros: readonly number[];
  /** Subscriptions that each master has of all channels, and how many there must be together. */
  readonly subscriptions: readonly number[];
  readonly wanted: number;
}

/** Publishes at one rate to a Cluster of some masters, which edges subscribe to. */
export async function measureShards(
  masters: number,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<ShardCost> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startRedisCluster({ masters, replicas: 0 }));
  const edges: TestEdge[] = [];
  for (let i = 0; i < EDGES; i += 1) {
    const edge = stack.use(
      await startEdge({ REDIS_MODE: 'cluster', REDIS_URL: cluster.url, EDGE_WORKERS: '1' }),
    );
    await untilLinked(edge);
    stack.use(await TestClient.connect(edge.wsUrl, { channels: CHANNELS }));
    edges.push(edge);
  }
  const settings = {
    mode: 'cluster',
    url: cluster.url,
    connectionName: 'tradewind-bench',
  } as const;
  const redis = createCommands(
    { ...settings, password: undefined, certificateAuthority: undefined },
    { available() {}, unavailable() {} },
  );
  stack.defer(() => redis.stop());
  redis.start();
  await eventually(() => redis.publish('warm-up', '1'));
  let next = 0;
  const publish = async (until: number): Promise<number> => {
    const first = next;
    const startedAt = performance.now();
    while (performance.now() < until) {
      const sent = Array.from({ length: TOGETHER }, async () => {
        const channel = CHANNELS[next++ % CHANNELS.length]!;
        const key = { idempotencyKey: `key-${next}`, idempotencyWindowMs: 60_000 };
        const history = { historySize: 1_000, historyTtlMs: 3_600_000 };
        await redis.publishSequenced({ channel, payload: PAYLOAD, ...key, ...history });
      });
      await Promise.all(sent);
      const dueAt = startedAt + ((next - first) * 1_000) / perSecond;
      const earlyMs = dueAt - performance.now();
      if (earlyMs > 0) await new Promise((resolve) => setTimeout(resolve, earlyMs));
    }
    return next - first;
  };
  await publish(performance.now() + 2_000);
  const pids = [...(await Promise.all(cluster.nodes.map(pidOf))), ...edges.map(({ pid }) => pid)];
  const before = pids.map(cpuMicrosOf);
  const publications = await publish(performance.now() + seconds * 1_000);
  const used = pids.map((pid, i) => cpuMicrosOf(pid) - before[i]!);
  return {
    publications,
    redisMicros: used.slice(0, masters),
    edgeMicros: used.slice(masters),
    subscriptions: await Promise.all(cluster.nodes.map(subscriptionsOf)),
    wanted: EDGES * CHANNELS.length,
  };
}

async function pidOf({ control }: ClusterNode): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await control.info('server'))![1]);
}

async function subscriptionsOf({ control }: ClusterNode): Promise<number> {
  const counts = (await control.call('PUBSUB', 'SHARDNUMSUB', ...CHANNELS)) as unknown[];
  return counts.reduce<number>((sum, count) => sum + (typeof count === 'number' ? count : 0), 0);
}

function cpuMicrosOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS;
}
