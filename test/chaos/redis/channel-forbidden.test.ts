import { expect, it } from 'vitest';
import { linksOf } from '../../support/faults/tcp-fault-proxy.ts';
import { expectComplaints } from '../oracle/expect-complaints.ts';
import { Scenario } from '../scenario/scenario.ts';
import { NaiveSubscriber } from '../subscribers/naive-subscriber.ts';

const FORBIDDEN = 'BTC.trade';
const OTHER = 'ETH.trade';

it('A7: one channel is forbidden: the others flow, and it is subscribed again once it is permitted', async () => {
  await using scenario = await Scenario.start();
  const { control } = scenario.redis;
  const publisher = scenario.publish({ channels: [FORBIDDEN, OTHER], ratePerSecond: 100 });
  await scenario.until(() => publisher.acknowledged > 1, 'trades flow');
  const [forbidden] = await scenario.connect({ channels: [FORBIDDEN] });
  const [other] = await scenario.connect({ channels: [OTHER] });
  // The control: it subscribes to both again in one command, which Redis refuses because of the one.
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.proxy.url, [FORBIDDEN, OTHER], scenario.ledger),
  );
  await scenario.until(() => naive.oracle.counts.publications > 0, 'it receives trades');
  await control.call('ACL', 'SETUSER', 'default', 'resetchannels', `&${OTHER}`, '&tw:*');
  scenario.proxy.cut(linksOf('subscriber'));
  await scenario.until(() => !forbidden!.live, 'the forbidden channel is given up');
  const { publications } = other!.oracle.counts;
  await scenario.until(() => other!.oracle.counts.publications > publications + 20, 'it flows');
  expect(forbidden!.live, 'while the one is still forbidden').toBe(false);
  await control.call('ACL', 'SETUSER', 'default', 'allchannels');
  await scenario.until(() => forbidden!.live, 'the channel is back');
  await publisher.stop();
  await scenario.verify();
  const complaints = naive.finish();
  expectComplaints(complaints, ['missing']);
  const starved = complaints.map(({ channel }) => channel);
  expect(starved, 'it lost the other channel, too').toContain(OTHER);
});
