import { expect, it } from 'vitest';
import { linksOf } from '../support/tcp-fault-proxy.ts';
import { expectToFail } from './expect-complaints.ts';
import { Scenario } from './scenario.ts';

it('A7: one channel is forbidden: the others flow, and it comes back when it may', async () => {
  await using scenario = await Scenario.start();
  const { control } = scenario.redis;
  const publisher = scenario.publish({ channels: ['BTC.trade', 'ETH.trade'], ratePerSecond: 100 });
  const [btc] = await scenario.connect({ channels: ['BTC.trade'] });
  const [eth] = await scenario.connect({ channels: ['ETH.trade'] });
  await control.call('ACL', 'SETUSER', 'default', 'resetchannels', '&ETH.trade', '&tw:*');
  scenario.proxy.cut(linksOf('subscriber'));
  await scenario.until(() => !btc!.live, 'the forbidden channel is given up');
  const { publications } = eth!.oracle.counts;
  await scenario.until(() => eth!.oracle.counts.publications > publications, 'the other flows');
  await expectToFail(() => expect(btc!.live, 'the control: it is really forbidden').toBe(true));
  await control.call('ACL', 'SETUSER', 'default', 'allchannels');
  await scenario.until(() => btc!.live, 'the channel is back');
  await publisher.stop();
  await scenario.verify();
});
