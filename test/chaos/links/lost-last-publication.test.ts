import { expect, it } from 'vitest';
import { linksOf } from '../../support/faults/tcp-fault-proxy.ts';
import { DETECTION_MS, Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const QUIET = 'ETH.trade';

/** Loses one publication of a channel on the way to the edge's subscriber link only; `after` more follow. */
async function loseOne(scenario: Scenario, after: number): Promise<void> {
  const publisher = scenario.publish({ channels: [CHANNEL, QUIET], ratePerSecond: 0 });
  await scenario.connect({ channels: [CHANNEL, QUIET], count: 3 });
  for (let i = 0; i < 5; i += 1) await publisher.publishOne(CHANNEL);
  expect(await scenario.settle()).toBe(true);
  const trap = scenario.proxy.swallowMessage(({ channel }) => channel === CHANNEL, {
    links: linksOf('subscriber', 'edge-1'),
  });
  await publisher.publishOne(CHANNEL);
  await trap.sprung;
  for (let i = 0; i < after; i += 1) await publisher.publishOne(CHANNEL);
}

it('a publication that is lost on the subscriber link, and the last of its channel, is delivered within 3 s', async () => {
  await using scenario = await Scenario.start();
  await loseOne(scenario, 0);
  expect(await scenario.settle(DETECTION_MS)).toBe(true);
  await scenario.verify();
});

it('control: without tail checks it is never delivered, and nobody is notified', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_TAIL_CHECK_SECONDS: '0' } });
  await loseOne(scenario, 0);
  await scenario.expectComplaints(['missing']);
});

it('one that is lost in the middle is delivered in its place', async () => {
  // Without tail checks, so that the next publication reveals it.
  await using scenario = await Scenario.start({ env: { EDGE_TAIL_CHECK_SECONDS: '0' } });
  await loseOne(scenario, 10);
  expect(await scenario.settle(DETECTION_MS)).toBe(true);
  await scenario.verify();
});

it('control: without reading history it is reported, not delivered', async () => {
  await using scenario = await Scenario.start({ env: { EDGE_MAX_HISTORY: '0' } });
  await loseOne(scenario, 10);
  await scenario.expectComplaints(['told-lost']);
});
