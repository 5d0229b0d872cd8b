import { expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';

/** More than the publisher's history holds. */
const BEYOND_HISTORY = 1_200;

it('A12: what a client missed is no longer in the history: it is told so, and given no part of it', async () => {
  // An edge that was there would have it in its own memory, so the client comes back to another.
  await using scenario = await Scenario.start({ edges: 2 });
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
  await using client = await TestClient.connect(scenario.edges[0]!.wsUrl, { channels: [CHANNEL] });
  await publisher.publishOne(CHANNEL);
  await client.waitFor(({ publications }) => publications.length === 1);
  const begin = scenario.ledger.head(CHANNEL)!;
  for (let i = 0; i < BEYOND_HISTORY; i += 1) await publisher.publishOne(CHANNEL);
  await using late = await TestClient.connect(scenario.edges[1]!.wsUrl);
  const { channels } = await late.subscribe([{ channel: CHANNEL, since: begin }]);
  const head = scenario.ledger.head(CHANNEL)!;
  expect(channels).toMatchObject([{ ...head, recovered: false }]);
  expect(channels[0]!.reason).toBeDefined();
  await late.ping();
  expect(late.publications).toEqual([]);

  // The control: what is still there is recovered, so it is the trimming that is seen.
  await using recent = await TestClient.connect(scenario.edges[1]!.wsUrl);
  const since = { epoch: head.epoch, offset: head.offset - 10 };
  const answer = await recent.subscribe([{ channel: CHANNEL, since }]);
  expect(answer.channels).toMatchObject([{ recovered: true, replayed: 10 }]);
  await recent.waitFor(({ publications }) => publications.length === 10);
});
