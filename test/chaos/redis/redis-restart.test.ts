import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { isReady } from '../../support/tier.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { countRangeReads } from '../scenario/range-reads.ts';
import { DETECTION_MS, Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'XRP.trade'];
const RATE = 2_000;

/** How long Redis is down, in ms. */
const AWAY_MS = 3_000;

/** How soon trades flow again after Redis is back, in ms; the naive one needs as long. */
const RESUMED_MS = 2_000;

/** More publications than one channel gets until the nodes are back, so that one read returns all of them. */
const ONE_READ = '10000';

it('A1: Redis is killed under 2,000 publications a second and restarts empty: a new epoch is reported, and trades flow again', async () => {
  await using scenario = await Scenario.start({ edges: 2, env: { EDGE_MAX_HISTORY: ONE_READ } });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: RATE });
  const clients = await scenario.connect({ channels: CHANNELS, count: 8 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, CHANNELS, scenario.ledger),
  );
  await scenario.until(() => publisher.acknowledged > RATE, 'trades flow');
  using reads = countRangeReads(scenario.proxy);

  await scenario.redis.kill();
  const degraded = (): boolean => clients.every(({ oracle }) => oracle.counts.degraded === 1);
  await scenario.until(degraded, 'clients are notified', DETECTION_MS);
  for (const edge of scenario.edges) expect(await isReady(edge)).toBe(true);
  await sleep(AWAY_MS);
  expect(scenario.count('epochs'), 'nobody is notified yet').toBe(0);
  await scenario.redis.restart('empty');
  const told = (): boolean =>
    clients.every(({ oracle }) => oracle.counts.epochs === CHANNELS.length);
  await scenario.until(told, 'the new epoch of every channel is reported', RESUMED_MS);

  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + RATE, 'trades flow again');
  await publisher.stop();
  await scenario.settle();
  expect(clients.every(({ oracle }) => oracle.counts.connections === 1)).toBe(true);
  expect(reads.takeMost(), 'reads for one channel and node').toBe(1);
  await scenario.verify({ epochs: 1 });
  expectComplaints(naive.finish(), [
    ...(['duplicate', 'silent-hole', 'wrong-payload', 'reorder', 'missing', 'beyond'] as const),
  ]);
});
