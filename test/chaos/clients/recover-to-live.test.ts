import { expect, it } from 'vitest';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const INTERLEAVINGS = 1_000;
const CLIENTS = 40;

/** For the control, whose holes appear at once. */
const FEW = 200;

/**
 * A client leaves between publications and resumes at the other node at a random moment between further ones, `rounds`
 * times over all clients. Each is live when it leaves, so that every time counts.
 */
async function interleave(scenario: Scenario, times: number, resumes: boolean): Promise<void> {
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
  await publisher.publishOne(CHANNEL);
  const clients = await scenario.connect({
    ...{ channels: [CHANNEL], count: CLIENTS, resumes, jitterMs: 10 },
  });
  for (let done = 0; done < times; done += 1) {
    const client = clients[scenario.random.below(CLIENTS)]!;
    const before = scenario.random.below(3);
    const within = 1 + scenario.random.below(4);
    if (!client.live) await scenario.until(() => client.live, 'it is back from the last time');
    for (let i = 0; i < before; i += 1) await publisher.publishOne(CHANNEL);
    client.drop();
    for (let i = 0; i < within; i += 1) {
      await publisher.publishOne(CHANNEL);
      const turns = scenario.random.below(4);
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    }
  }
  await scenario.settle();
}

it('B7: publications at the boundary of replay and live, in 1,000 seeded interleavings', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  await interleave(scenario, INTERLEAVINGS, true);
  expect(scenario.count('recovered')).toBe(INTERLEAVINGS);
  expect(scenario.count('replayed')).toBeGreaterThan(INTERLEAVINGS);
  await scenario.verify();
});

it('B7, control: clients that do not send their position have holes', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  await interleave(scenario, FEW, false);
  // The other node may be behind the first by the messages in flight, so some are delivered twice.
  await scenario.expectComplaints(['silent-hole', 'missing', 'duplicate', 'reorder']);
  const kinds = scenario.clients.flatMap(({ oracle }) => oracle.complaints.map(({ kind }) => kind));
  expect(kinds).toContain('silent-hole');
});
