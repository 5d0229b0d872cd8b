import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { NaiveSubscriber } from './naive-subscriber.ts';
import { countRangeReads } from './range-reads.ts';
import { DETECTION_MS, Scenario } from './scenario.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'XRP.trade'];
const FROZEN_MS = 10_000;

it('A2: Redis is frozen for 10 s under 2,000 publications a second: noticed within 3 s, and nothing is lost', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 2_000 });
  const clients = await scenario.connect({ channels: CHANNELS, count: 10 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, CHANNELS, scenario.ledger),
  );
  await scenario.until(() => publisher.acknowledged > 2_000, 'trades flow');
  using reads = countRangeReads(scenario.proxy);

  scenario.redis.pause();
  const frozenAt = performance.now();
  const degraded = (): boolean => clients.every(({ oracle }) => oracle.counts.degraded === 1);
  await scenario.until(degraded, 'clients are told', DETECTION_MS);
  expect(naive.redis.status, 'the control: a naive subscriber notices nothing').toBe('ready');
  await sleep(FROZEN_MS - (performance.now() - frozenAt));
  scenario.redis.resume();

  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 2_000, 'trades flow again');
  await publisher.stop();
  await scenario.settle();
  expect(reads.takeMost()).toBeLessThanOrEqual(1);
  await scenario.verify();
});
