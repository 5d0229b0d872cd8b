import { setTimeout as sleep } from 'node:timers/promises';
import { hashSlot } from '@tradewind/bus';
import { afterEach, describe, expect, it } from 'vitest';
import type { ClusterNode, RedisClusterOptions } from '../../support/redis/redis-cluster.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import type { Library } from '../subscribers/library-subscriber-process.ts';
import { LIBRARIES, type Missed } from '../subscribers/naive-cluster-subscriber.ts';
import type { ResumingClient } from '../subscribers/resuming-client.ts';
import { ClusterScenario } from './cluster-scenario.ts';

/** Clients of a scenario, and publications a second over all channels. */
const CLIENTS = Number(process.env.CLUSTER_CLIENTS ?? 2_000);
const RATE = Number(process.env.CLUSTER_RATE ?? 2_000);

/** Channels on each shard. */
const CHANNELS = 130;

/**
 * Further channels on each shard, whose publisher is connected to the replica before it takes over, and publications a second on
 * each: one is due every 20 ms, and one that the old master holds back is published at the takeover.
 */
const EAGER_CHANNELS = 5;
const EAGER_RATE = 50;

/** Our clients on each of these: one on each edge. */
const EAGER_CLIENTS = 2;

/** How long a shard is away in the test of the others, in ms. */
const AWAY_MS = 30_000;

/**
 * How long a busy machine may hold a process up, in ms: once in 30 s is the 99th percentile of the publications here. Beside other work p99 went from 20
 * to 164 ms in one run, and from 92 to 474 ms in another at a load average of 38; what held them up is not known. One that waited for a shard that is away
 * would wait for seconds.
 */
const BUSY_MACHINE_MS = 500;

/** How long publishers may take to follow to a new master, in ms: three questions to the nodes, on busy cores. */
const FOLLOWED_MS = 2_000;

/** How long nodes may be apart, or held up by a busy machine, and not take each other for failed, in ms: longer than slots take to move. */
const PATIENT_NODES_MS = 90_000;

/** A library may complain of these where it lost something: who missed a new epoch takes its offsets for old ones. */
const LOST = ['silent-hole', 'missing', 'duplicate', 'reorder', 'wrong-payload'] as const;

/**
 * The libraries that lose publications when a master breaks off. node-redis asks for the new one 5 s after a connection has broken, and by then
 * publishers are back. ioredis asks every 15 to 19 ms (ADR 71), so it is there before anything is published and misses nothing.
 */
const ASKS_LATE: readonly Library[] = ['node-redis'];

/** ioredis asks a node by chance, and the stale one too. node-redis asks the one that has let a channel go, and missed only two in a run. */
const ASKS_ANYBODY: readonly Library[] = ['ioredis'];

/**
 * At a planned failover the old master ends subscriptions as it refuses publications, so libraries and publishers go to the new one at once, and
 * publishers must connect to it first. In three runs ioredis missed 0, 0 and 15, and node-redis nothing: that is printed and not expected. Publishers
 * that are connected already show the loss.
 */
const NOBODY: readonly Library[] = [];

let running: ClusterScenario | undefined;

afterEach(async () => {
  await running?.[Symbol.asyncDispose]();
  running = undefined;
});

interface LoadOptions extends RedisClusterOptions {
  readonly clients?: number;
  readonly ratePerSecond?: number;
}

async function underLoad({
  clients = CLIENTS,
  ratePerSecond = RATE,
  ...options
}: LoadOptions = {}) {
  const scenario = await ClusterScenario.start({ edges: 2, ...options });
  running = scenario;
  const shards = await scenario.channels(CHANNELS);
  const channels = shards.flat();
  await scenario.connect(clients, channels);
  const publisher = await scenario.publish({ channels, ratePerSecond });
  await scenario.untilFlowing(publisher, 2 * ratePerSecond);
  const { cluster } = scenario;
  const masters = scenario.masters as readonly [ClusterNode, ClusterNode, ClusterNode];
  return { scenario, cluster, masters, shards, publisher };
}

/** Expects that these libraries' subscribers have lost publications, and nothing else went wrong. Prints how many each has lost. */
function expectLoss(
  missed: readonly Missed[],
  losers: readonly Library[] = LIBRARIES,
  what = 'publications missed',
): void {
  const counts = missed.map(({ library, publications }) => `${library} ${publications}`);
  console.log(`${what}: ${counts.join(', ')}`);
  for (const { library, complaints } of missed) {
    if (!losers.includes(library)) continue;
    expectComplaints(complaints, LOST);
    expect(complaints.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^(silent-hole|missing)$/)]),
    );
  }
}

describe('a Redis Cluster under load', () => {
  it('loses nothing while slots move to another shard and back; a library does', async () => {
    const load = await underLoad({ nodeTimeoutMs: PATIENT_NODES_MS });
    const { scenario, cluster, masters, shards, publisher } = load;
    const [a, b] = masters;
    const moving = shards[0]!.slice(0, 40);
    const naive = await scenario.naive(moving);
    // A library loses some eight publications in 90 moves.
    for (const target of [b, a, b, a, b]) {
      for (const channel of moving) await cluster.moveSlot(hashSlot(channel), target);
    }
    await scenario.untilFlowing(publisher, RATE);
    const missed = await scenario.judge(naive, publisher);
    await publisher.stop();
    expect(scenario.clients.filter(({ failures }) => failures > 0)).toEqual([]);
    await scenario.verify();
    expectLoss(missed);
  });

  it('loses nothing while one master tells a topology that is stale; a library does', async () => {
    const load = await underLoad({ nodeTimeoutMs: PATIENT_NODES_MS });
    const { scenario, cluster, masters, shards, publisher } = load;
    const [a, b, stale] = masters;
    const moving = shards[0]!.slice(0, 30);
    const naive = await scenario.naive(moving);
    const isolation = cluster.isolate(stale);
    for (const target of [b, a, b]) {
      for (const channel of moving) await cluster.moveSlot(hashSlot(channel), target);
    }
    // One that begins with the stale node knows no other answer at first.
    const late = await scenario.startEdge(stale.url);
    await scenario.connect(moving.length, moving, [late]);
    await scenario.untilPublishedTo(moving);
    const missed = await scenario.judge(naive, publisher);
    const told = (await cluster.seenBy(stale)).find(({ id }) => id === a.id);
    const isToldOf = (slot: number) => told?.slots.some(([from, to]) => from <= slot && slot <= to);
    expect(moving.filter((channel) => !isToldOf(hashSlot(channel)))).toEqual([]);
    isolation[Symbol.dispose]();
    await cluster.untilWhole(PATIENT_NODES_MS);
    await scenario.untilFlowing(publisher, RATE);
    await publisher.stop();
    expect(scenario.clients.filter(({ failures }) => failures > 0)).toEqual([]);
    await scenario.verify();
    expectLoss(missed, ASKS_ANYBODY);
  });

  it('loses nothing untold when a master is killed under load; a library does', async () => {
    const { scenario, cluster, masters, shards, publisher } = await underLoad();
    const [, killed] = masters;
    const naive = await scenario.naive(shards[1]!);
    await killed.kill();
    const owner = () => cluster.masterOf(shards[1]![0]!);
    await scenario.until(async () => (await owner()) !== killed, 'the replica has taken over');
    await scenario.untilPublishedTo(shards[1]!);
    await scenario.untilFlowing(publisher, RATE);
    const missed = await scenario.judge(naive, publisher);
    await killed.restart('empty');
    await cluster.untilWhole();
    await scenario.untilFlowing(publisher, RATE);
    await publisher.stop();
    await scenario.verify({ epochs: 'any' });
    expectLoss(missed, ASKS_LATE);
  });

  it('loses nothing untold when a master is cut off and clients reach it; a library does', async () => {
    const { scenario, cluster, masters, shards, publisher } = await underLoad();
    const [, , cutOff] = masters;
    const naive = await scenario.naive(shards[2]!.slice(0, 30));
    const isolation = cluster.isolate(cutOff);
    const owner = async () => (await cluster.masterOf(shards[2]![0]!)).id;
    await scenario.until(async () => (await owner()) !== cutOff.id, 'the replica has taken over');
    const followedMs = await scenario.untilPublishedTo(shards[2]!);
    console.log(`publishers followed ${followedMs} ms after the replica had taken over`);
    expect(followedMs).toBeLessThan(FOLLOWED_MS);
    // The library hears of nothing before the master has joined the others again.
    const missed = await scenario.judge(naive, publisher);
    isolation[Symbol.dispose]();
    await cluster.untilWhole();
    await scenario.untilFlowing(publisher, RATE);
    await publisher.stop();
    await scenario.verify({ epochs: 'any' });
    expectLoss(missed);
  });

  it('loses nothing while all six are restarted, one after the other; a library does', async () => {
    const { scenario, cluster, masters, shards, publisher } = await underLoad();
    // Of each shard: its failover gives them one occasion.
    const naive = await scenario.naive(shards.flatMap((channels) => channels.slice(0, 45)));
    const eager = (await scenario.channels(CHANNELS + EAGER_CHANNELS)).map((channels) =>
      channels.slice(CHANNELS),
    );
    const eagerChannels = eager.flat();
    await scenario.connect(EAGER_CLIENTS * eagerChannels.length, eagerChannels);
    const { publisher: eagerPublisher, via } = scenario.publishEagerly(
      eager,
      EAGER_RATE * eagerChannels.length,
    );
    const eagerNaive = await scenario.naive(eagerChannels);
    for (const node of cluster.nodes.slice(3)) {
      await node.restart('empty');
      await cluster.untilWhole();
    }
    for (const node of masters) {
      const [replica] = await cluster.replicasOf(node);
      await scenario.until(() => via.isConnected, 'the eager publisher is connected to all nodes');
      await cluster.failOver(replica!);
      await node.restart('empty');
      await cluster.untilWhole();
    }
    await scenario.untilFlowing(publisher, RATE);
    await scenario.untilFlowing(eagerPublisher, EAGER_RATE * eagerChannels.length);
    const missed = await scenario.judge([...naive, ...eagerNaive], publisher, eagerPublisher);
    await Promise.all([publisher.stop(), eagerPublisher.stop()]);
    await scenario.verify();
    expectLoss(missed.slice(0, naive.length), NOBODY);
    expectLoss(missed.slice(naive.length), LIBRARIES, 'publications of the eager publisher missed');
  });

  it('does not slow other shards down while all of a shard is away for 30 s, and then it loses nothing; a library does', async () => {
    const ratePerSecond = 200;
    const { scenario, cluster, masters, shards, publisher } = await underLoad({
      ...{ clients: 200, ratePerSecond },
      // What each node was told survives its death; and a shard that is away costs the others nothing.
      args: ['--appendonly', 'yes', '--cluster-require-full-coverage', 'no'],
    });
    const [replica] = await cluster.replicasOf(masters[0]);
    const away = [masters[0], replica!];
    const naive = await scenario.naive(shards[0]!);
    const others = scenario.clients.filter((_, i) => i % (3 * CHANNELS) >= CHANNELS);
    expect(shards[0]).toHaveLength(CHANNELS);
    const before = latencies(others);
    await sleep(AWAY_MS);
    const usual = before.stop();
    for (const node of away) node.pause();
    // The first seconds count: that is when links are found dead.
    const during = latencies(others);
    await sleep(AWAY_MS);
    const meanwhile = during.stop();
    // The machines that were frozen are started anew, and the replica's comes first.
    await Promise.all(away.map((node) => node.kill()));
    await replica!.restart('appended');
    await replica!.control.cluster('FAILOVER', 'TAKEOVER');
    const owner = () => cluster.masterOf(shards[0]![0]!);
    await scenario.until(async () => (await owner()) === replica, 'the replica has taken over');
    await scenario.untilPublishedTo(shards[0]!);
    const missed = await scenario.judge(naive, publisher);
    await masters[0].restart('appended');
    await cluster.untilWhole();
    await publisher.stop();
    const [usualMs, meanwhileMs] = [percentile(usual, 0.99), percentile(meanwhile, 0.99)];
    console.log(
      `p99 of the other shards: ${usualMs} ms before, ${meanwhileMs} ms while one was away (${meanwhile.length} publications)`,
    );
    console.log(`slower than p99, and when, before: ${slower(usual, usualMs)}`);
    console.log(`slower than p99, and when, while one was away: ${slower(meanwhile, meanwhileMs)}`);
    await scenario.verify({ epochs: 'any' });
    expectLoss(missed, ASKS_LATE);
    // As many a second as before: nobody was refused.
    expect(meanwhile.length).toBeGreaterThan(0.8 * usual.length);
    expect(meanwhileMs).toBeLessThanOrEqual(1.5 * usualMs + BUSY_MACHINE_MS);
  });
});

/** A publication that reached a client. */
interface Arrival {
  /** When it was published, in ms since the recording began. */
  readonly atMs: number;
  readonly tookMs: number;
}

/** Records how long publications take to these clients. */
function latencies(clients: readonly ResumingClient[]) {
  const since = Date.now();
  const arrivals: Arrival[] = [];
  for (const client of clients) {
    client.onFrame = (frame) => {
      if (frame.type !== undefined) return;
      const at = /"at":(\d+)/.exec(frame.data)?.[1];
      if (at === undefined) return;
      arrivals.push({ atMs: Number(at) - since, tookMs: Date.now() - Number(at) });
    };
  }
  return {
    stop(): readonly Arrival[] {
      for (const client of clients) client.onFrame = undefined;
      return arrivals;
    },
  };
}

/** In ms. */
function percentile(arrivals: readonly Arrival[], share: number): number {
  expect(arrivals.length).toBeGreaterThan(100);
  const sorted = arrivals.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))]!;
}

/** Those that took longer than this, as they were published: `164 ms at 0.4 s, …`. */
function slower(arrivals: readonly Arrival[], limitMs: number): string {
  return arrivals
    .filter(({ tookMs }) => tookMs > limitMs)
    .toSorted((one, other) => one.atMs - other.atMs)
    .map(({ atMs, tookMs }) => `${tookMs} ms at ${(atMs / 1_000).toFixed(1)} s`)
    .join(', ');
}
