import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { countRangeReads } from '../scenario/range-reads.ts';
import { DETECTION_MS, Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'XRP.trade'];
const RATE = 2_000;
const FROZEN_MS = 10_000;

/** The control must only notice it. */
const FROZEN_SHORTLY_MS = 4_000;

/** More publications than one channel gets until publishers notice as well, so that one read returns all of them. */
const ONE_READ = '10000';

/** Freezes Redis under load. Returns the number of reads of a channel's history by one node. */
async function freeze(scenario: Scenario, frozenMs: number): Promise<number> {
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: RATE });
  const clients = await scenario.connect({ channels: CHANNELS, count: 8 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, CHANNELS, scenario.ledger),
  );
  await scenario.until(() => publisher.acknowledged > RATE, 'trades flow');
  using reads = countRangeReads(scenario.proxy);

  scenario.redis.pause();
  const frozenAt = performance.now();
  const degraded = (): boolean => clients.every(({ oracle }) => oracle.counts.degraded === 1);
  await scenario.until(degraded, 'clients are notified', DETECTION_MS);
  expect(naive.redis.status, 'the control: a naive subscriber notices nothing').toBe('ready');
  await sleep(frozenMs - (performance.now() - frozenAt));
  scenario.redis.resume();

  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + RATE, 'trades flow again');
  await publisher.stop();
  await scenario.settle();
  return reads.takeMost();
}

it('A2: Redis is frozen for 10 s under 2,000 publications a second: noticed within 3 s, and nothing is lost', async () => {
  await using scenario = await Scenario.start({ edges: 2, env: { EDGE_MAX_HISTORY: ONE_READ } });
  expect(await freeze(scenario, FROZEN_MS), 'reads for one channel and node').toBe(1);
  await scenario.verify();
});

it('A2, control: without reading history missed publications are reported, not delivered', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: '0' } });
  expect(await freeze(scenario, FROZEN_SHORTLY_MS)).toBe(0);
  await scenario.expectComplaints(['told-lost']);
});
