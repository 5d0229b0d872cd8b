import { expect, it } from 'vitest';
import { startReplicatedPair } from '../../support/redis/redis-topology.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

const CHANNEL = 'BTC.trade';
const KEPT = 30;
const LOST = 20;

/** Fewer than were lost, as many, and many more: the last case looks like progress. */
for (const further of [5, LOST, 60]) {
  it(`A13: a failover loses the last ${LOST} writes, and ${further} more are published before the edge is back`, async () => {
    await using pair = await startReplicatedPair();
    await using scenario = await Scenario.start({ redis: pair.master });
    const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
    const clients = await scenario.connect({ channels: [CHANNEL], count: 5 });
    const naive = scenario.use(
      await NaiveSubscriber.start(scenario.proxy.url, [CHANNEL], scenario.ledger),
    );
    for (let i = 0; i < KEPT; i += 1) await publisher.publishOne(CHANNEL);
    expect(await scenario.settle()).toBe(true);

    await pair.loseWrites(async () => {
      for (let i = 0; i < LOST; i += 1) await publisher.publishOne(CHANNEL);
      expect(await scenario.settle(), 'the writes that will be lost were delivered').toBe(true);
      scenario.proxy.refuse(true);
      scenario.proxy.cut();
    });
    // The promoted one continues with the replica's offsets; the payloads' numbers continue, too.
    const { replica } = pair;
    scenario.movesTo(replica);
    let number = KEPT + LOST;
    using via = scenario.scriptPublisher(replica.url);
    const publish = async (): Promise<void> => {
      const payload = `{"n":${++number}}`;
      scenario.ledger.acknowledged(CHANNEL, await via.publish(CHANNEL, payload), payload);
    };
    await scenario.until(async () => (await replica.control.ping()) === 'PONG', 'it answers');
    for (let i = 0; i < further; i += 1) await publish();
    expect(scenario.count('epochs'), 'nobody is notified yet').toBe(0);
    scenario.proxy.retarget(replica);
    scenario.proxy.refuse(false);
    const told = (): boolean => clients.every(({ oracle }) => oracle.counts.epochs === 1);
    await scenario.until(told, 'clients are notified of a new epoch');
    await scenario.until(() => naive.redis.status === 'ready', 'the naive one is back');
    for (let i = 0; i < 10; i += 1) await publish();
    await scenario.verify({ epochs: 1 });
    expectComplaints(naive.finish(), ['duplicate', 'reorder', 'silent-hole', 'missing', 'beyond']);
  });
}
