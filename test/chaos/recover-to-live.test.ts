import { expect, it } from 'vitest';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';
const INTERLEAVINGS = 1_000;
const CLIENTS = 20;

/** Each client comes back at a random moment between publications, 1,000 times over all of them. */
async function interleave(scenario: Scenario, resumes: boolean): Promise<void> {
  const clients = await scenario.connect({
    channels: [CHANNEL],
    count: CLIENTS,
    resumes,
    jitterMs: 10,
  });
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
  for (let done = 0; done < INTERLEAVINGS; done += 1) {
    const client = clients[scenario.random.below(CLIENTS)]!;
    const before = scenario.random.below(3);
    const within = 1 + scenario.random.below(4);
    for (let i = 0; i < before; i += 1) await publisher.publishOne(CHANNEL);
    client.drop();
    for (let i = 0; i < within; i += 1) {
      await publisher.publishOne(CHANNEL);
      const turns = scenario.random.below(4);
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    }
  }
}

it('B7: publications at the boundary of replay and live, in 1,000 seeded interleavings', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  await interleave(scenario, true);
  await scenario.settle();
  expect(scenario.count('recovered')).toBeGreaterThan(INTERLEAVINGS / 4);
  expect(scenario.count('notRecovered')).toBe(0);
  await scenario.verify();
});

it('B7, control: clients that do not say where they were have holes', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  await interleave(scenario, false);
  // The other node may be behind the first by what is on its way, so that some come twice.
  await scenario.expectComplaints(['silent-hole', 'missing', 'duplicate', 'reorder']);
  const kinds = scenario.clients.flatMap(({ oracle }) => oracle.complaints.map(({ kind }) => kind));
  expect(kinds).toContain('silent-hole');
});
