import { expect, it } from 'vitest';
import { linksOf } from '../../support/faults/tcp-fault-proxy.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

const CHANNEL = 'BTC.trade';
const ROUNDS = 20;

/** Rounds that must hit the window; a busy machine may miss some. */
const HITS = 16;

/** How long a confirmation is in flight, in ms: the window. A link may be silent for far longer. */
const WINDOW_MS = 200;

/**
 * Repeatedly cuts the edge's subscriber link after Redis has confirmed SUBSCRIBE and while the confirmation is in
 * flight, with a publication in between. Returns how often the publication was in between.
 */
async function cutInWindow(scenario: Scenario, rounds: number): Promise<number> {
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 500 });
  await scenario.until(() => publisher.acknowledged > 0, 'trades flow');
  await scenario.connect({ channels: [CHANNEL], count: 3 });
  const edge = linksOf('subscriber', 'edge-1');
  let hits = 0;
  for (let round = 0; round < rounds; round += 1) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const late = scenario.proxy.impose({ delayMs: WINDOW_MS, direction: 'to-client' }, edge);
    const watch = scenario.proxy.watchCommands(([name = '', ...channels], link) => {
      // The probe and the naive subscriber send SUBSCRIBE, too.
      if (/^subscribe$/i.test(name) && edge(link) && channels.includes(CHANNEL)) resolve();
    });
    scenario.proxy.cut(linksOf('subscriber'));
    await promise;
    const sentAt = performance.now();
    watch[Symbol.dispose]();
    await scenario.until(() => isSubscribed(scenario), 'Redis has executed it');
    await publisher.publishOne(CHANNEL);
    scenario.proxy.reset(edge);
    if (performance.now() - sentAt < WINDOW_MS) hits += 1;
    late[Symbol.dispose]();
  }
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 500, 'trades flow');
  await publisher.stop();
  return hits;
}

/** Whether Redis has the edge's subscription. */
async function isSubscribed({ redis }: Scenario): Promise<boolean> {
  const list = String(await redis.control.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
  const edges = list.split('\n').filter((line) => / name=\S+-edge-1-subscriber /.test(line));
  return edges.some((line) => Number(/ sub=(\d+) /.exec(line)?.[1]) > 0);
}

it('A10: the link is cut between SUBSCRIBE and its confirmation, with publications in between', async () => {
  await using scenario = await Scenario.start();
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, [CHANNEL], scenario.ledger),
  );
  expect(await cutInWindow(scenario, ROUNDS)).toBeGreaterThanOrEqual(HITS);
  await scenario.verify();
  expectComplaints(naive.finish(), ['silent-hole', 'missing']);
});

it('A10, control: without reading history the publications in between are reported, not delivered', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: '0' } });
  await cutInWindow(scenario, 3);
  await scenario.expectComplaints(['told-lost']);
});
