import { it } from 'vitest';
import { linksOf } from '../support/tcp-fault-proxy.ts';
import { expectComplaints } from './expect-complaints.ts';
import { NaiveSubscriber } from './naive-subscriber.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';
const ROUNDS = 20;

it('A10: the link is cut between SUBSCRIBE and its confirmation, with publications in between', async () => {
  await using scenario = await Scenario.start();
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 500 });
  await scenario.connect({ channels: [CHANNEL], count: 3 });
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, [CHANNEL], scenario.ledger),
  );
  const subscriber = linksOf('subscriber');
  for (let round = 0; round < ROUNDS; round += 1) {
    // The command arrives and the confirmation does not: the link is cut while it is under way.
    const { promise, resolve } = Promise.withResolvers<void>();
    const late = scenario.proxy.impose({ delayMs: 50, direction: 'to-client' }, subscriber);
    const watch = scenario.proxy.watchCommands(([name = '']) => {
      if (/^subscribe$/i.test(name)) resolve();
    });
    scenario.proxy.cut(subscriber);
    await promise;
    watch[Symbol.dispose]();
    await publisher.publishOne(CHANNEL);
    scenario.proxy.reset(subscriber);
    late[Symbol.dispose]();
  }
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 500, 'trades flow');
  await publisher.stop();
  await scenario.verify();
  expectComplaints(naive.finish(), ['silent-hole', 'missing']);
});
