import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { countRangeReads } from '../scenario/range-reads.ts';
import { type Incident, watchRelinks } from '../scenario/relinks.ts';
import { DETECTION_MS, Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

/** These get three quarters of all publications, so that every kill makes each of them miss some. */
const HOT = ['BTC.trade', 'ETH.trade', 'SOL.trade', 'XRP.trade'];

/** More than two batches of SUBSCRIBE. */
const WIDE = Array.from({ length: 1_100 }, (_, i) => `wide.${i}`);
const CHANNELS_PER_CLIENT = 400;

const KILLS = 50;
const KILL_EVERY_MS = 200;

/** Kills of both links together; the first reconnects are immediate. */
const HITS = 10;

/** Channels that one SUBSCRIBE may name. */
const SUBSCRIBE_BATCH = 512;

async function killSubscribers(scenario: Scenario): Promise<void> {
  await scenario.redis.control.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
}

it('A5: subscribers are killed five times a second for 10 s under 2,000 publications a second: nothing is lost', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const hot = scenario.publish({ channels: HOT, ratePerSecond: 1_500 });
  const wide = scenario.publish({ channels: WIDE, ratePerSecond: 500 });
  await scenario.until(() => wide.acknowledged > WIDE.length, 'all channels have begun');
  await scenario.connect({ channels: HOT, count: 6 });
  for (let at = 0; at < WIDE.length; at += CHANNELS_PER_CLIENT) {
    const channels = WIDE.slice(at, at + CHANNELS_PER_CLIENT);
    await scenario.connect({ channels, count: scenario.edges.length });
  }
  const naive = scenario.use(await NaiveSubscriber.start(scenario.proxy.url, HOT, scenario.ledger));
  using reads = countRangeReads(scenario.proxy);

  // One kill alone, to measure the cost of one incident.
  await killSubscribers(scenario);
  const told = (): boolean => scenario.clients.every(({ oracle }) => oracle.counts.degraded === 1);
  await scenario.until(told, 'clients are notified', DETECTION_MS);
  const restored = (): boolean =>
    scenario.clients.every(({ oracle }) => oracle.counts.restored === 1);
  await scenario.until(restored, 'the links are back');
  const { acknowledged } = hot;
  await scenario.until(() => hot.acknowledged > acknowledged + 1_000, 'trades continue');
  expect(reads.takeMost(), 'reads for one channel, incident and node').toBe(1);

  let largestBatch = 0;
  using _watch = scenario.proxy.watchCommands(([name = '', ...channels]) => {
    if (/^subscribe$/i.test(name)) largestBatch = Math.max(largestBatch, channels.length);
  });
  using relinks = watchRelinks(scenario.proxy, ['edge-1', 'edge-2']);
  const incidents: Incident[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    incidents.push(...relinks.incidents());
    await killSubscribers(scenario);
    await sleep(KILL_EVERY_MS);
  }
  await scenario.until(() => incidents.every((each) => relinks.after(each)), 'all are noticed');
  const slowest = Math.max(...incidents.map((each) => relinks.after(each)!));
  expect(slowest, 'until the last node noticed a kill').toBeLessThan(DETECTION_MS);
  // A link that is killed repeatedly reconnects more slowly: in the end after 1 to 2 s.
  expect(incidents.length, 'kills that hit a link').toBeGreaterThan(HITS);
  await Promise.all([hot.stop(), wide.stop()]);
  await scenario.settle();
  expect(largestBatch).toBe(SUBSCRIBE_BATCH);
  const perNode = Math.max(
    ...['edge-1', 'edge-2'].map((node) => incidents.filter((each) => each.node === node).length),
  );
  expect(reads.takeMost()).toBeLessThanOrEqual(perNode);
  await scenario.verify();
  expectComplaints(naive.finish(), ['silent-hole', 'missing']);
});

it('A5, control: without reading history missed publications are reported, not delivered', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: '0' } });
  const publisher = scenario.publish({ channels: HOT, ratePerSecond: 2_000 });
  await scenario.connect({ channels: HOT });
  for (let kill = 0; kill < 5; kill += 1) {
    await killSubscribers(scenario);
    await sleep(KILL_EVERY_MS);
  }
  await publisher.stop();
  await scenario.expectComplaints(['told-lost']);
});
