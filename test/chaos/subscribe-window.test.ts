import { expect, it } from 'vitest';
import { linksOf } from '../support/tcp-fault-proxy.ts';
import { expectComplaints } from './expect-complaints.ts';
import { NaiveSubscriber } from './naive-subscriber.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';
const ROUNDS = 20;

/** Rounds that have to hit the window; a busy machine may miss some. */
const HITS = 16;

/** How long a confirmation is under way, in ms: the window. Far less than a link may be silent. */
const WINDOW_MS = 200;

/**
 * Cuts the edge's subscriber link again and again when Redis has confirmed SUBSCRIBE and the confirmation is
 * still under way, with a publication in between. Returns how often it came in between.
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
      // The probe subscribes as well, and so does the naive one.
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

/** Whether Redis holds the edge's subscription. */
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

it('A10, control: without reading history what was published in between is told, not delivered', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: '0' } });
  await cutInWindow(scenario, 3);
  await scenario.expectComplaints(['told-lost']);
});
