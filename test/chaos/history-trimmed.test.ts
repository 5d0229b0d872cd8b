import { expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';
const HISTORY = 100;

/** More than the history holds, and less than a node would replay. */
const MISSED = 200;

/** A client comes back after it has missed some; what it is answered, and what it is given. */
async function comeBack(scenario: Scenario, historySize: number) {
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0, historySize });
  await using client = await TestClient.connect(scenario.edges[0]!.wsUrl, { channels: [CHANNEL] });
  await publisher.publishOne(CHANNEL);
  await client.waitFor(({ publications }) => publications.length === 1);
  const since = scenario.ledger.head(CHANNEL)!;
  for (let i = 0; i < MISSED; i += 1) await publisher.publishOne(CHANNEL);
  // To another node: the first one was there and has it all in its own memory.
  await using late = await TestClient.connect(scenario.edges[1]!.wsUrl);
  const { channels } = await late.subscribe([{ channel: CHANNEL, since }]);
  await late.ping();
  return { answer: channels[0]!, given: late.publications.map(({ offset }) => offset) };
}

it('A12: what a client missed is no longer in the history: it is told so, and given no part of it', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const { answer, given } = await comeBack(scenario, HISTORY);
  const head = scenario.ledger.head(CHANNEL)!;
  expect(answer).toMatchObject({ ...head, recovered: false, reason: 'history_trimmed' });
  expect(given).toEqual([]);
});

it('A12, control: where the history is not trimmed the same client is given all of it', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const { answer, given } = await comeBack(scenario, MISSED + 1);
  const head = scenario.ledger.head(CHANNEL)!;
  expect(answer).toMatchObject({ ...head, recovered: true, replayed: MISSED });
  expect(given).toHaveLength(MISSED);
});
