import { expect, it } from 'vitest';
import { linksOf } from '../../support/faults/tcp-fault-proxy.ts';
import { startRedisNode } from '../../support/redis/redis-topology.ts';
import type { Complaint } from '../oracle/complaint.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { DETECTION_MS, Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade'];

/** Silences the present subscriber links; returns the complaints of a naive one with the same fault. */
async function silence(scenario: Scenario): Promise<readonly Complaint[]> {
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 200 });
  const clients = await scenario.connect({ channels: CHANNELS, count: 5 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, CHANNELS, scenario.ledger),
  );
  await scenario.until(() => publisher.acknowledged > 200, 'trades flow');
  // Only present links: a new link is not affected.
  const silent = new Set(scenario.proxy.links.filter(linksOf('subscriber')));
  using _fault = scenario.proxy.impose({ blackhole: true }, (link) => silent.has(link));
  const degraded = (): boolean => clients.every(({ oracle }) => oracle.counts.degraded >= 1);
  await scenario.until(degraded, 'clients are notified', DETECTION_MS);
  const restored = (): boolean => clients.every(({ oracle }) => oracle.counts.restored >= 1);
  await scenario.until(restored, 'the link is replaced');
  await publisher.stop();
  await scenario.settle();
  // Before the fault is lifted, because afterwards TCP would deliver what it kept.
  return naive.finish();
}

it('A3: only the subscriber link falls silent, sockets stay open: noticed, replaced, and repaired', async () => {
  await using scenario = await Scenario.start();
  const complaintsOfNaive = await silence(scenario);
  await scenario.verify();
  expectComplaints(complaintsOfNaive, ['missing']);
});

it('A3, control: without reading history missed publications are reported, not delivered', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: '0' } });
  await silence(scenario);
  await scenario.expectComplaints(['told-lost']);
});

/** Connects subscriber links to a Redis that answers every PING and that nobody publishes to. */
async function detach(scenario: Scenario): Promise<void> {
  const other = scenario.use(await startRedisNode());
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 100 });
  await scenario.connect({ channels: CHANNELS, count: 3 });
  await scenario.until(() => publisher.acknowledged > 100, 'trades flow');
  scenario.proxy.retarget(other);
  scenario.proxy.cut(linksOf('subscriber'));
  const moved = async (): Promise<boolean> =>
    Number(((await other.control.pubsub('NUMSUB', CHANNELS[0]!)) as unknown[])[1]) > 0;
  await scenario.until(moved, 'the subscriber is on the other Redis');
  scenario.proxy.retarget(scenario.redis);
  await publisher.stop();
}

it('A4: Redis answers, and nothing is delivered: the probe notices, not PING', async () => {
  // Without tail checks, so that only the probe can notice.
  await using scenario = await Scenario.start({ env: { EDGE_TAIL_CHECK_SECONDS: '0' } });
  await detach(scenario);
  expect(await scenario.settle(2 * DETECTION_MS), 'noticed and repaired').toBe(true);
  await scenario.verify();
});

it('A4, control: without the probe clients get nothing and the node stays ready', async () => {
  const env = { EDGE_TAIL_CHECK_SECONDS: '0', EDGE_PROBE: 'false' };
  await using scenario = await Scenario.start({ env });
  await detach(scenario);
  const [edge] = scenario.edges;
  expect((await fetch(`${edge!.url}/readyz`)).ok).toBe(true);
  await scenario.expectComplaints(['missing', 'silent-hole'], { deadlineMs: 2 * DETECTION_MS });
});
