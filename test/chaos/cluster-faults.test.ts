import { setTimeout as sleep } from 'node:timers/promises';
import { hashSlot } from '@tradewind/bus';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClusterScenario } from './cluster-scenario.ts';
import { expectComplaints } from './expect-complaints.ts';
import type { ResumingClient } from './resuming-client.ts';

/** Clients of a scenario, and publications a second over all channels. */
const CLIENTS = Number(process.env.CLUSTER_CLIENTS ?? 2_000);
const RATE = Number(process.env.CLUSTER_RATE ?? 2_000);

/** Channels on each shard. */
const CHANNELS = 130;

/** How long a shard is away in the test of the others, in ms. */
const AWAY_MS = 30_000;

let scenario: ClusterScenario;

beforeEach(async () => {
  scenario = await ClusterScenario.start({ edges: 2 });
});

afterEach(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

async function underLoad(clients = CLIENTS, ratePerSecond = RATE) {
  const shards = await scenario.channels(CHANNELS);
  const channels = shards.flat();
  await scenario.connect(clients, channels);
  const publisher = await scenario.publish({ channels, ratePerSecond });
  await scenario.until(() => publisher.acknowledged > 2 * ratePerSecond, 'publications flow');
  return { shards, channels, publisher };
}

describe('a Redis Cluster under load', () => {
  it('loses nothing while slots move to another shard and back; a library does', async () => {
    const { shards, publisher } = await underLoad();
    const [a, b] = scenario.masters as [never, never];
    const moving = shards[0]!.slice(0, 30);
    const naive = await scenario.naive(moving);
    await sleep(500);
    for (const target of [b, a, b]) {
      for (const channel of moving) await scenario.cluster.moveSlot(hashSlot(channel), target);
    }
    await sleep(1_000);
    await publisher.stop();
    expect(publisher.acknowledged).toBeGreaterThan(3 * RATE);
    const complaints = naive.finish();
    expect(scenario.clients.filter(({ failures }) => failures > 0)).toEqual([]);
    await scenario.verify();
    expectComplaints(complaints, ['silent-hole', 'missing', 'duplicate', 'reorder']);
  });

  it('loses nothing untold when a master is killed under load', async () => {
    const { shards, publisher } = await underLoad();
    const [, killed] = scenario.masters;
    await killed!.kill();
    const owner = async () => (await scenario.cluster.masterOf(shards[1]![0]!)).id;
    await scenario.until(async () => (await owner()) !== killed!.id, 'the replica has taken over');
    await sleep(3_000);
    await killed!.restart('empty');
    await scenario.cluster.untilWhole();
    await sleep(1_000);
    await publisher.stop();
    await scenario.verify({ epochs: 'any' });
  });

  it('loses nothing untold when a master is cut off and clients reach it; a library does', async () => {
    const { shards, publisher } = await underLoad();
    const [, , cutOff] = scenario.masters;
    const naive = await scenario.naive(shards[2]!.slice(0, 30));
    await sleep(500);
    const isolation = scenario.cluster.isolate(cutOff!);
    const owner = async () => (await scenario.cluster.masterOf(shards[2]![0]!)).id;
    await scenario.until(async () => (await owner()) !== cutOff!.id, 'the replica has taken over');
    // Publishers follow to the new master within three seconds; before that there is nothing to miss.
    await sleep(5_000);
    // The library hears of nothing before the master has joined the others again.
    const complaints = naive.finish();
    isolation[Symbol.dispose]();
    await scenario.cluster.untilWhole();
    await sleep(1_000);
    await publisher.stop();
    await scenario.verify({ epochs: 'any' });
    expectComplaints(complaints, ['silent-hole', 'missing']);
  });

  it('loses nothing while all six are restarted, one after the other', async () => {
    const { publisher } = await underLoad();
    for (const node of scenario.cluster.nodes.slice(3)) {
      await node.restart('empty');
      await scenario.cluster.untilWhole();
    }
    for (const node of scenario.masters) {
      const [replica] = await scenario.cluster.replicasOf(node);
      await scenario.cluster.failOver(replica!);
      await node.restart('empty');
      await scenario.cluster.untilWhole();
    }
    await sleep(1_000);
    await publisher.stop();
    await scenario.verify();
  });

  it('does not slow other shards down while all of a shard is away for 30 s', async () => {
    const { shards, publisher } = await underLoad(200, 200);
    const away = [
      scenario.masters[0]!,
      ...(await scenario.cluster.replicasOf(scenario.masters[0]!)),
    ];
    const others = scenario.clients.filter((_, i) => i % (3 * CHANNELS) >= CHANNELS);
    expect(shards[0]).toHaveLength(CHANNELS);
    const before = latencies(others);
    await sleep(10_000);
    const usual = percentile(before.stop(), 0.99);
    for (const node of away) node.pause();
    // The first seconds count: that is when links are found dead.
    const during = latencies(others);
    await sleep(AWAY_MS);
    const meanwhile = percentile(during.stop(), 0.99);
    for (const node of away) node.resume();
    await scenario.cluster.untilWhole();
    await sleep(1_000);
    await publisher.stop();
    console.log(`p99 of the other shards: ${usual} ms before, ${meanwhile} ms while one was away`);
    await scenario.verify({ epochs: 'any' });
    // 2 ms of room: both are a few.
    expect(meanwhile).toBeLessThanOrEqual(1.5 * usual + 2);
  });
});

/** Records how long publications take to these clients, in ms. */
function latencies(clients: readonly ResumingClient[]) {
  const taken: number[] = [];
  for (const client of clients) {
    client.onFrame = (frame) => {
      if (frame.type !== undefined) return;
      const at = /"at":(\d+)/.exec(frame.data)?.[1];
      if (at !== undefined) taken.push(Date.now() - Number(at));
    };
  }
  return {
    stop(): readonly number[] {
      for (const client of clients) client.onFrame = undefined;
      return taken;
    },
  };
}

function percentile(values: readonly number[], share: number): number {
  expect(values.length).toBeGreaterThan(100);
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))]!;
}
