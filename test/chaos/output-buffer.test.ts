import { setTimeout as sleep } from 'node:timers/promises';
import { it } from 'vitest';
import { linksOf } from '../support/tcp-fault-proxy.ts';
import { expectComplaints } from './expect-complaints.ts';
import { NaiveSubscriber } from './naive-subscriber.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';

/** Bytes of one filler: a few dozen overrun every buffer on the way. */
const FILLER_BYTES = 60_000;
const FILLERS = 200;

it('A6: Redis closes a subscriber that reads too slowly: what it missed is read from history', async () => {
  await using scenario = await Scenario.start();
  await scenario.redis.control.config('SET', 'client-output-buffer-limit', 'pubsub 1mb 1mb 1');
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 200 });
  await scenario.connect({ channels: [CHANNEL, 'FILLER'], count: 3 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, [CHANNEL, 'FILLER'], scenario.ledger),
  );
  await scenario.until(() => publisher.acknowledged > 200, 'trades flow');
  const before = new Set(scenario.proxy.links);
  const fault = scenario.proxy.impose(
    { blackhole: true, direction: 'to-client' },
    (link) => linksOf('subscriber')(link) && before.has(link),
  );
  const filler = JSON.stringify('x'.repeat(FILLER_BYTES));
  for (let i = 0; i < FILLERS; i += 1) await scenario.redis.control.publish('FILLER', filler);
  await sleep(3_000);
  fault[Symbol.dispose]();
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 200, 'trades flow on');
  await publisher.stop();
  await scenario.verify();
  expectComplaints(naive.finish(), ['silent-hole', 'missing']);
});
