import { expect, it } from 'vitest';
import { linksOf } from '../support/tcp-fault-proxy.ts';
import { DETECTION_MS, Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';
const QUIET = 'ETH.trade';

/** Loses the last publication of a channel on its way to the edge's subscriber link only. */
async function loseTheLast(scenario: Scenario): Promise<void> {
  const publisher = scenario.publish({ channels: [CHANNEL, QUIET], ratePerSecond: 0 });
  await scenario.connect({ channels: [CHANNEL, QUIET], count: 3 });
  for (let i = 0; i < 5; i += 1) await publisher.publishOne(CHANNEL);
  expect(await scenario.settle()).toBe(true);
  const trap = scenario.proxy.swallowMessage(({ channel }) => channel === CHANNEL, {
    links: linksOf('subscriber'),
  });
  await publisher.publishOne(CHANNEL);
  await trap.sprung;
}

it('a publication that is lost on the subscriber link, and the last of its channel, comes within 3 s', async () => {
  await using scenario = await Scenario.start();
  await loseTheLast(scenario);
  expect(await scenario.settle(DETECTION_MS)).toBe(true);
  expect(scenario.count('gaps')).toBe(0);
  await scenario.verify();
});

it('control: without tail checks it never comes, and nobody is told', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_TAIL_CHECK_SECONDS: '0' } });
  await loseTheLast(scenario);
  await scenario.expectComplaints(['missing']);
});

it('one that is lost in the middle is delivered in its place', async () => {
  await using scenario = await Scenario.start();
  await loseTheLast(scenario);
  const publisher = scenario.publish({ channels: ['SOL.trade'], ratePerSecond: 0 });
  await scenario.connect({ channels: ['SOL.trade'] });
  const trap = scenario.proxy.swallowMessage(({ channel }) => channel === 'SOL.trade', { nth: 3 });
  for (let i = 0; i < 10; i += 1) await publisher.publishOne('SOL.trade');
  await trap.sprung;
  await scenario.verify();
});
