import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestClient } from '../support/client.ts';
import { INSPECTABLE, runInWorker } from '../support/inspector.ts';
import type { TestEdge } from '../support/service.ts';
import { startTier, type Tier } from '../support/tier.ts';
import { eventually } from '../support/wait.ts';

const WORKERS = 3;
const CHANNEL = 'BTC.trade';

let tier: Tier;
let edge: TestEdge;

beforeEach(async () => {
  tier = await startTier({
    edges: 1,
    env: {
      ...INSPECTABLE,
      EDGE_WORKERS: String(WORKERS),
      EDGE_LINGER_MS: '100',
      DRAIN_SECONDS: '8',
    },
  });
  edge = tier.edges[0]!;
});

afterEach(async () => {
  await tier?.[Symbol.asyncDispose]();
});

function connectMany(count: number): Promise<TestClient[]> {
  return Promise.all(
    Array.from({ length: count }, () => TestClient.connect(edge.wsUrl, { channels: [CHANNEL] })),
  );
}

/** Publishes numbered payloads until `stop` is called; which resolves with how many there were. */
function publishSteadily(everyMs: number): { stop(): Promise<number> } {
  let n = 0;
  let running = true;
  const done = (async () => {
    while (running) {
      n += 1;
      await tier.backend.publish(CHANNEL, JSON.stringify({ n }));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    async stop() {
      running = false;
      await done;
      return n;
    },
  };
}

const closed = async (client: TestClient, withinMs: number): Promise<boolean> =>
  await Promise.race([
    client.closed.then(() => true),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), withinMs)),
  ]);

it('holds one subscription per channel however many workers have interest, and counts for the node', async () => {
  const clients = await connectMany(60);
  expect(await tier.subscribers(CHANNEL)).toBe(1);
  const metrics = await edge.metrics();
  expect(metrics.sum('tradewind_edge_connections')).toBe(60);
  expect(metrics.sum('ws_subscription_index_channels')).toBe(1);
  expect(metrics.sum('ws_subscription_index_total_subscribers')).toBe(60);

  await tier.backend.publish(CHANNEL, '{"n":1}');
  for (const client of clients) {
    await client.waitFor(() => client.publications.length === 1);
    await client.close();
  }
  expect((await edge.metrics()).sum('ws_broadcast_iterations_total')).toBe(WORKERS);
  await eventually(async () => (await tier.subscribers(CHANNEL)) === 0);
});

it('replaces a worker that throws; the clients of the others notice nothing', async () => {
  const clients = await connectMany(60);
  const load = publishSteadily(5);
  await clients[0]!.waitFor((client) => client.publications.length > 20);

  await runInWorker(edge, 0, `setTimeout(() => { throw new Error('a fault in the test') }, 0)`);
  await eventually(() => edge.output.some((line) => line.includes('worker_lost')));
  const hit = await Promise.all(clients.map((client) => closed(client, 1_000)));
  const lost = clients.filter((_, i) => hit[i]);
  const kept = clients.filter((_, i) => !hit[i]);
  expect(lost.length).toBeGreaterThan(0);
  expect(kept.length).toBeGreaterThan(lost.length);

  const back = await Promise.all(
    lost.map(() => TestClient.connect(edge.wsUrl, { channels: [CHANNEL] })),
  );
  const published = await load.stop();
  for (const client of kept) {
    await client.waitFor(() => client.publications.length === published);
    expect(client.publications.every(({ seq }, i) => seq === i + 1)).toBe(true);
    expect(client.controlsOf('gap')).toEqual([]);
  }
  await tier.backend.publish(CHANNEL, '"last"');
  for (const client of [...kept, ...back]) {
    await client.waitFor(() => client.publications.at(-1)?.data === '"last"');
  }
  await eventually(async () => {
    const metrics = await edge.metrics();
    expect(metrics.sum('tradewind_edge_connections')).toBe(kept.length + back.length);
    expect(metrics.sum('tradewind_edge_workers_lost_total')).toBe(1);
  });
  expect(await tier.subscribers(CHANNEL)).toBe(1);
});

it('lets a worker that is frozen for a while catch up; the others are not held up', async () => {
  const FROZEN_MS = 4_000;
  const clients = await connectMany(30);
  const load = publishSteadily(5);
  await clients[0]!.waitFor((client) => client.publications.length > 20);

  await runInWorker(
    edge,
    1,
    `setTimeout(() => { const end = Date.now() + ${FROZEN_MS}; while (Date.now() < end); }, 0)`,
  );
  await new Promise((resolve) => setTimeout(resolve, FROZEN_MS / 2));
  const before = clients.map((client) => client.publications.length);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const moved = clients.filter((client, i) => client.publications.length > before[i]! + 10);
  expect(moved.length).toBeGreaterThan(0);
  expect(moved.length).toBeLessThan(clients.length);
  for (const client of moved) {
    const lags = client.publications.slice(-50).map(({ ts, receivedAt }) => receivedAt - ts);
    expect(Math.max(...lags)).toBeLessThan(FROZEN_MS / 4);
  }

  await new Promise((resolve) => setTimeout(resolve, FROZEN_MS / 2));
  const published = await load.stop();
  for (const client of clients) {
    await client.waitFor(() => client.publications.length === published, 10_000);
    expect(client.publications.every(({ seq }, i) => seq === i + 1)).toBe(true);
    await client.close();
  }
});

it('does not replace a worker that ends while the node drains, and still ends in time', async () => {
  const clients = await connectMany(12);
  edge.signal('SIGTERM');
  await clients[0]!.waitFor((client) => client.controlsOf('reconnect').length === 1);
  await runInWorker(edge, 0, `setTimeout(() => { throw new Error('a fault in the test') }, 0)`);
  await eventually(() => edge.output.some((line) => line.includes('worker_lost')));
  await new Promise((resolve) => setTimeout(resolve, 600));
  const late = await Promise.allSettled(
    Array.from({ length: 30 }, () => TestClient.connect(edge.wsUrl)),
  );
  expect(late.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  expect(await edge.exited).toEqual({ code: 0, signal: null });
});

it('says plainly that its port is in use, although workers would share it', async () => {
  const { startEdge } = await import('../support/service.ts');
  await expect(
    startEdge({
      REDIS_URL: tier.redis.url,
      EDGE_WORKERS: String(WORKERS),
      PORT: String(edge.port),
    }),
  ).rejects.toThrow(`port ${edge.port} is in use; set PORT to another`);
});
