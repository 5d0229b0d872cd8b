import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { isReady } from '../support/tier.ts';
import { expectComplaints } from './expect-complaints.ts';
import { NaiveSubscriber } from './naive-subscriber.ts';
import { DETECTION_MS, Scenario } from './scenario.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade'];

/** How long Redis is away, in ms. */
const AWAY_MS = 3_000;

/** How soon trades flow again once Redis is back, in ms; the naive one needs as long. */
const RESUMED_MS = 2_000;

it('A1: Redis is killed and comes back empty: a new epoch is told, and trades flow again', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 500 });
  const clients = await scenario.connect({ channels: CHANNELS, count: 10 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, CHANNELS, scenario.ledger),
  );
  await scenario.until(() => publisher.acknowledged > 500, 'trades flow');
  expect(await scenario.settle()).toBe(true);

  await scenario.redis.kill();
  const degraded = (): boolean => clients.every(({ oracle }) => oracle.counts.degraded === 1);
  await scenario.until(degraded, 'clients are told', DETECTION_MS);
  for (const edge of scenario.edges) expect(await isReady(edge)).toBe(true);
  await sleep(AWAY_MS);
  await scenario.redis.restart('empty');
  const resynced = (): boolean =>
    clients.every(({ oracle }) => oracle.counts.resyncs >= CHANNELS.length);
  await scenario.until(resynced, 'trades of the new epoch came', RESUMED_MS);

  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 500, 'trades flow again');
  await publisher.stop();
  expect(clients.every(({ oracle }) => oracle.counts.connections === 1)).toBe(true);
  await scenario.verify();
  expectComplaints(naive.finish(), [
    'duplicate',
    'silent-hole',
    'wrong-payload',
    'reorder',
    'missing',
  ]);
});
