import { expect, it } from 'vitest';
import { startScriptPublisher } from '../../chaos/publishers/script-publisher.ts';
import { TestClient } from '../../support/clients/client.ts';
import { beginFreeze, INSPECTABLE, socketsOfWorkers } from '../../support/services/inspector.ts';
import type { TestEdge } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const CHANNEL = 'BTC.trade';
const BULK_CHANNEL = 'BULK';

/** The kernel gives each connection to either worker; with this many, each worker certainly gets one. */
const MOST_CLIENTS = 64;

/** Twice the bytes that the hub keeps for a worker: 600 publications of 60 kB are 36 MB. */
const BULK = { publications: 600, payload: JSON.stringify('x'.repeat(60_000)) };

/** The longest freeze, in ms: a worker that is silent for 30 s is replaced. A busy machine takes seconds to publish all of it. */
const FROZEN_AT_MOST_MS = 25_000;

/** Makes a worker miss publications of a channel; returns what each client received, gaps as `from..to`. */
async function letWorkerMiss(historySize: number) {
  await using tier = await startTier({ edges: 1, env: { ...INSPECTABLE, EDGE_WORKERS: '2' } });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  using publisher = startScriptPublisher(tier.redis.url, { historySize });
  const clients = await connectToEachWorker(edge, CHANNEL);
  await connectToEachWorker(edge, BULK_CHANNEL);
  let published = 0;
  const publish = async () => {
    published += 1;
    await publisher.publish(CHANNEL, `${published}`);
  };

  const freeze = await beginFreeze(edge, 0, FROZEN_AT_MOST_MS);
  for (let i = 0; i < BULK.publications; i += 1) {
    await Promise.all([tier.backend.publish(BULK_CHANNEL, BULK.payload), publish(), publish()]);
  }
  await eventually(async () => {
    const received = (await edge.metrics()).sum('tradewind_edge_publications_received_total') ?? 0;
    return received >= published + BULK.publications;
  });
  await freeze.thaw();
  await publish();
  for (const client of clients) {
    await client.waitFor(() => client.publications.at(-1)?.offset === published);
  }
  const told = clients.map((client) => {
    const offsets = client.publications.map(({ offset }) => offset);
    return { offsets, gaps: client.controlsOf('gap') };
  });
  return { published, told, isOpen: clients.every(({ isOpen }) => isOpen) };
}

/** Connects clients of a channel, at least one of them on each worker. */
async function connectToEachWorker(edge: TestEdge, channel: string): Promise<TestClient[]> {
  const before = await socketsOfWorkers(edge);
  const clients: TestClient[] = [];
  while (clients.length < MOST_CLIENTS) {
    clients.push(await TestClient.connect(edge.wsUrl, { channels: [channel] }));
    const now = await socketsOfWorkers(edge);
    if (now.every((sockets, worker) => sockets > (before[worker] as number))) return clients;
  }
  throw new Error(`${clients.length} clients, and a worker has none of them`);
}

it('fills in from history what a worker missed because it was behind', async () => {
  const { published, told, isOpen } = await letWorkerMiss(10 * BULK.publications);
  const all = Array.from({ length: published }, (_, i) => i + 1);
  for (const client of told) expect(client).toEqual({ offsets: all, gaps: [] });
  expect(isOpen).toBe(true);
});

it('reports exactly what history no longer holds of that', async () => {
  const { published, told } = await letWorkerMiss(100);
  const behind = told.filter(({ gaps }) => gaps.length > 0);
  expect(behind.length, 'the other worker was not frozen').toBeLessThan(told.length);
  expect(behind.length).toBeGreaterThan(0);
  for (const { offsets, gaps } of behind) {
    expect(gaps).toHaveLength(1);
    const { from = 0, to = 0, lost } = gaps[0] ?? {};
    expect(lost).toBe(to - from + 1);
    const rest = Array.from({ length: published }, (_, i) => i + 1);
    expect(offsets).toEqual(rest.filter((offset) => offset < from || offset > to));
  }
});
