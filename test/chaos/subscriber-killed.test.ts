import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { expectComplaints } from './expect-complaints.ts';
import { NaiveSubscriber } from './naive-subscriber.ts';
import { countRangeReads } from './range-reads.ts';
import { Scenario } from './scenario.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'XRP.trade'];
const KILLS = 50;
const KILL_EVERY_MS = 200;

/** Channels that one SUBSCRIBE may name. */
const SUBSCRIBE_BATCH = 512;

it('A5: subscribers are killed five times a second for 10 s under 2,000 publications a second: nothing is lost', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 2_000 });
  await scenario.connect({ channels: CHANNELS, count: 10 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, CHANNELS, scenario.ledger),
  );
  let largestBatch = 0;
  using _watch = scenario.proxy.watchCommands(([name = '', ...channels]) => {
    if (/^subscribe$/i.test(name)) largestBatch = Math.max(largestBatch, channels.length);
  });
  using reads = countRangeReads(scenario.proxy);
  await scenario.until(() => publisher.acknowledged > 2_000, 'trades flow');
  for (let kill = 0; kill < KILLS; kill += 1) {
    await scenario.redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await sleep(KILL_EVERY_MS);
  }
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 1_000, 'trades flow again');
  await publisher.stop();
  await scenario.settle();
  expect(largestBatch).toBeLessThanOrEqual(SUBSCRIBE_BATCH);
  expect(reads.takeMost()).toBeLessThanOrEqual(KILLS);
  const lost = scenario.count('lost');
  await scenario.verify();
  expect(lost).toBe(0);
  expectComplaints(naive.finish(), ['silent-hole', 'missing']);
});

it('A5, control: without reading history what was missed is told, not delivered', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: '0' } });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 2_000 });
  await scenario.connect({ channels: CHANNELS });
  for (let kill = 0; kill < 5; kill += 1) {
    await scenario.redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await sleep(KILL_EVERY_MS);
  }
  await publisher.stop();
  await scenario.settle();
  expect(scenario.count('lost')).toBeGreaterThan(0);
  await scenario.verify();
});
