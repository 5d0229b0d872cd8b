import { expect, it } from 'vitest';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';
const SLOTS = 512;

/** Bytes that fill every buffer between an edge and a client that does not read. */
const FILLER_BYTES = 60_000;
const FILLERS = 300;

/** Fills a client's socket, then queues as many publications as given; the client reads again. */
async function overfill(scenario: Scenario, publications: number): Promise<void> {
  const [client] = await scenario.connect({ channels: [CHANNEL, 'FILLER'] });
  const publisher = scenario.publish({ channels: [CHANNEL], ratePerSecond: 0 });
  await publisher.publishOne(CHANNEL);
  expect(await scenario.settle()).toBe(true);
  client!.pause();
  const filler = JSON.stringify('x'.repeat(FILLER_BYTES));
  for (let i = 0; i < FILLERS; i += 1) await scenario.redis.control.publish('FILLER', filler);
  for (let i = 0; i < publications; i += 1) await publisher.publishOne(CHANNEL);
  client!.resume();
  await scenario.settle();
}

const PATIENT = { EDGE_SLOW_GRACE_MS: '600000', EDGE_SLOW_MAX_LAG_MS: '600000' };

for (const publications of [SLOTS - 1, SLOTS, SLOTS + 1]) {
  it(`B5: a queue of ${SLOTS} with ${publications} publications in it: all delivered, or told exactly`, async () => {
    const env = { ...PATIENT, EDGE_QUEUE_BYTES: '67108864', EDGE_RING_BYTES: '0' };
    await using scenario = await Scenario.start({ env });
    await overfill(scenario, publications);
    await scenario.verify();
  });
}

it('B5, control: a queue of 8 does refuse, and what it refused is told', async () => {
  const env = { ...PATIENT, EDGE_QUEUE_SLOTS: '8', EDGE_RING_BYTES: '0', EDGE_MAX_HISTORY: '0' };
  await using scenario = await Scenario.start({ env });
  await overfill(scenario, SLOTS);
  expect(scenario.count('lost')).toBeGreaterThan(0);
  await scenario.verify();
});
