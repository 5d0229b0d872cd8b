import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const HISTORY = 100;

/** More than the history holds, and less than the longest replay of a node. */
const MISSED = 200;

/** A client resumes after it has missed publications; returns its answer, and the replay. */
async function comeBack(scenario: Scenario, historySize: number) {
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0, historySize });
  await using client = await TestClient.connect(scenario.edges[0]!.wsUrl, { channels: [CHANNEL] });
  await publisher.publishOne(CHANNEL);
  await client.waitFor(({ publications }) => publications.length === 1);
  const since = scenario.ledger.head(CHANNEL)!;
  for (let i = 0; i < MISSED; i += 1) await publisher.publishOne(CHANNEL);
  // On another node, because the first one received everything and has it in memory.
  await using late = await TestClient.connect(scenario.edges[1]!.wsUrl);
  const { channels } = await late.subscribe([{ channel: CHANNEL, since }]);
  await late.ping();
  return { answer: channels[0]!, given: late.publications.map(({ offset }) => offset) };
}

it('A12: publications that a client missed are no longer in the history: it is not recovered, and gets no part of them', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const { answer, given } = await comeBack(scenario, HISTORY);
  const head = scenario.ledger.head(CHANNEL)!;
  expect(answer).toMatchObject({ ...head, recovered: false, reason: 'history_trimmed' });
  expect(given).toEqual([]);
});

it('A12, control: if the history is not trimmed, the same client gets all of them', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const { answer, given } = await comeBack(scenario, MISSED + 1);
  const head = scenario.ledger.head(CHANNEL)!;
  expect(answer).toMatchObject({ ...head, recovered: true, replayed: MISSED });
  expect(given).toHaveLength(MISSED);
});
