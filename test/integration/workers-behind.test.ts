import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { startScriptPublisher } from '../chaos/script-publisher.ts';
import { TestClient } from '../support/client.ts';
import { freezeWorker, INSPECTABLE } from '../support/inspector.ts';
import { startTier } from '../support/tier.ts';

const CHANNEL = 'BTC.trade';
const BULK_CHANNEL = 'BULK';
const CLIENTS = 8;

/** Twice what the hub keeps for a worker: 600 publications of 60 kB are 36 MB. */
const BULK = { publications: 600, payload: JSON.stringify('x'.repeat(60_000)) };

/** While it is frozen a worker misses twice as many of the sequenced channel. */
const FROZEN_MS = 6_000;

/** Lets a worker miss something of a channel; returns what each client was told, gaps as `from..to`. */
async function letWorkerMiss(historySize: number) {
  await using tier = await startTier({ edges: 1, env: { ...INSPECTABLE, EDGE_WORKERS: '2' } });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  using publisher = startScriptPublisher(tier.redis.url, { historySize });
  const connect = (channel: string) =>
    Promise.all(
      Array.from({ length: CLIENTS }, () =>
        TestClient.connect(edge.wsUrl, { channels: [channel] }),
      ),
    );
  const [clients] = await Promise.all([connect(CHANNEL), connect(BULK_CHANNEL)]);
  let published = 0;
  const publish = async () => {
    published += 1;
    await publisher.publish(CHANNEL, `${published}`);
  };

  const freezing = freezeWorker(edge, 0, FROZEN_MS);
  await sleep(500);
  for (let i = 0; i < BULK.publications; i += 1) {
    await Promise.all([tier.backend.publish(BULK_CHANNEL, BULK.payload), publish(), publish()]);
  }
  await freezing;
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

it('fills in from history what a worker missed because it was behind', async () => {
  const { published, told, isOpen } = await letWorkerMiss(10 * BULK.publications);
  const all = Array.from({ length: published }, (_, i) => i + 1);
  for (const client of told) expect(client).toEqual({ offsets: all, gaps: [] });
  expect(isOpen).toBe(true);
});

it('tells exactly what history no longer holds of that', async () => {
  const { published, told } = await letWorkerMiss(100);
  const behind = told.filter(({ gaps }) => gaps.length > 0);
  expect(behind.length, 'the other worker was not frozen').toBeLessThan(CLIENTS);
  expect(behind.length).toBeGreaterThan(0);
  for (const { offsets, gaps } of behind) {
    expect(gaps).toHaveLength(1);
    const { from = 0, to = 0, lost } = gaps[0] ?? {};
    expect(lost).toBe(to - from + 1);
    const rest = Array.from({ length: published }, (_, i) => i + 1);
    expect(offsets).toEqual(rest.filter((offset) => offset < from || offset > to));
  }
});
