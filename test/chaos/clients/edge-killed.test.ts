import { expect, it } from 'vitest';
import { INSPECTABLE, runInWorker } from '../../support/services/inspector.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNELS = ['BTC.trade', 'ETH.trade'];
const CLIENTS = 1_000;

/** Kills the first of two edges under load, and waits until trades flow to all clients again. */
async function killAnEdge(scenario: Scenario, resumes: boolean): Promise<void> {
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 50 });
  await scenario.connect({ channels: CHANNELS, count: CLIENTS, resumes, jitterMs: 3_000 });
  await scenario.until(() => publisher.acknowledged > 100, 'trades flow');
  scenario.edges[0]!.signal('SIGKILL');
  await scenario.until(() => scenario.clients.some(({ live }) => !live), 'clients notice');
  await scenario.until(() => scenario.clients.every(({ live }) => live), 'all are on the other');
  await publisher.stop();
  await scenario.settle();
}

it('C3: an edge is killed under 1,000 clients: all continue at the other, and miss nothing', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  await killAnEdge(scenario, true);
  expect(scenario.count('recovered')).toBeGreaterThanOrEqual((CLIENTS / 2) * CHANNELS.length);
  expect(scenario.count('replayed')).toBeGreaterThan(CLIENTS);
  await scenario.verify();
});

it('C3, control: clients that do not send their position have holes', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  await killAnEdge(scenario, false);
  await scenario.expectComplaints(['silent-hole', 'missing']);
});

for (const resumes of [true, false]) {
  const title = resumes
    ? 'C3: a worker thread dies under 1,000 clients: all go on, and miss nothing'
    : 'C3, control: a worker thread dies, and clients that do not resume have holes';
  it(title, async () => {
    const env = { ...INSPECTABLE, EDGE_WORKERS: '3' };
    await using scenario = await Scenario.start({ env });
    const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 50 });
    await scenario.connect({ channels: CHANNELS, count: CLIENTS, resumes, jitterMs: 3_000 });
    const [edge] = scenario.edges;
    await runInWorker(edge!, 1, 'process.exit(1)');
    await scenario.until(() => scenario.clients.some(({ live }) => !live), 'clients notice');
    await scenario.until(() => scenario.clients.every(({ live }) => live), 'all are back');
    await publisher.stop();
    if (resumes) {
      expect(scenario.count('recovered')).toBeGreaterThanOrEqual((CLIENTS / 4) * CHANNELS.length);
      await scenario.verify();
    } else await scenario.expectComplaints(['silent-hole', 'missing']);
  });
}
