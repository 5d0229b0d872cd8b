import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { lastAccountedFor, publishNumbered } from '../../support/clients/numbered-publications.ts';
import { connectReaders } from '../../support/clients/readers.ts';
import { INSPECTABLE, runInWorker, socketsOfWorkers } from '../../support/services/inspector.ts';
import type { TestEdge } from '../../support/services/service.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const WORKERS = 3;
const CHANNEL = 'BTC.trade';

/** How soon clients of a lost worker must be subscribed again, in ms after it was ended. */
const BACK_WITHIN_MS = 2_000 + BUSY_MACHINE_MS;

/**
 * The kernel assigns each connection to a worker by a hash, so their numbers scatter. With 1,500 on each, one differs
 * by 10 % (4.7 standard deviations) in less than one of 100,000 runs; with 500 on each it would be one of 54.
 */
const SPREAD_CONNECTIONS = 4_500;
const SPREAD_TOLERANCE = 0.1;

let tier: Tier;
let edge: TestEdge;

beforeEach(async () => {
  tier = await startTier({
    edges: 1,
    env: {
      ...INSPECTABLE,
      EDGE_WORKERS: String(WORKERS),
      EDGE_LINGER_MS: '100',
      DRAIN_SECONDS: '4',
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

interface Return {
  readonly client: TestClient;
  /** When it was subscribed, in ms of the monotonic clock. */
  readonly at: number;
}

/** Reconnects at once, and as often as needed within the allowed time. */
async function comeBack(): Promise<Return> {
  const client = await eventually(() => TestClient.connect(edge.wsUrl, { channels: [CHANNEL] }), {
    deadlineMs: BACK_WITHIN_MS,
  });
  return { client, at: performance.now() };
}

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
  expect((await edge.metrics()).sum('ws_broadcast_iterations_total')).toBe(clients.length);
  await eventually(async () => (await tier.subscribers(CHANNEL)) === 0);
});

it('spreads connections over its workers, which share one subscription per channel', async () => {
  const channels = Array.from({ length: 20 }, (_, i) => `SPREAD-${i}.trade`);
  await using _readers = await connectReaders(edge, {
    connections: SPREAD_CONNECTIONS,
    channels,
    mode: 'random',
  });

  const sockets = await socketsOfWorkers(edge);
  expect(sockets).toHaveLength(WORKERS);
  console.log(`${SPREAD_CONNECTIONS} connections over ${WORKERS} workers: ${sockets.join(', ')}`);
  const fair = SPREAD_CONNECTIONS / WORKERS;
  for (const count of sockets) expect(Math.abs(count / fair - 1)).toBeLessThan(SPREAD_TOLERANCE);
  expect((await edge.metrics()).sum('tradewind_edge_connections')).toBe(SPREAD_CONNECTIONS);
  for (const channel of channels) expect(await tier.subscribers(channel)).toBe(1);
});

it('replaces a worker that throws under load: its clients are back at once, the others notice nothing', async () => {
  const clients = await connectMany(300);
  const load = publishNumbered(tier.backend, CHANNEL, 10);
  await clients[0]!.waitFor((client) => client.publications.length > 20);

  const returns: Promise<Return>[] = [];
  let isOver = false;
  for (const client of clients) {
    client.closed.then(() => {
      if (!isOver) returns.push(comeBack());
    });
  }
  const faultAt = performance.now();
  await runInWorker(edge, 0, `setTimeout(() => { throw new Error('a fault in the test') }, 0)`);
  await eventually(async () => {
    const kept = clients.filter((client) => client.isOpen).length;
    expect(kept).toBeLessThan(clients.length);
    expect(kept + (await Promise.all(returns)).length).toBe(clients.length);
    expect((await edge.metrics()).sum('tradewind_edge_connections')).toBe(clients.length);
  });
  isOver = true;
  const returned = await Promise.all(returns);
  const kept = clients.filter((client) => client.isOpen);
  expect(kept.length).toBeGreaterThan(returned.length);
  expect(kept.length + returned.length).toBe(clients.length);
  const lastBackMs = Math.max(...returned.map(({ at }) => at)) - faultAt;
  console.log(
    `a worker threw: ${returned.length} clients back within ${Math.round(lastBackMs)} ms`,
  );
  expect(lastBackMs).toBeLessThan(BACK_WITHIN_MS);

  await eventually(async () => (await socketsOfWorkers(edge)).length === WORKERS);
  const later = await connectMany(30);
  expect(Math.min(...(await socketsOfWorkers(edge)))).toBeGreaterThan(0);
  const published = await load.stop();
  for (const client of kept) {
    await client.waitFor(() => client.publications.length === published);
    expect(client.publications.every(({ seq }, i) => seq === i + 1)).toBe(true);
    expect(client.controlsOf('gap')).toEqual([]);
  }
  for (const { client } of returned) {
    await client.waitFor(() => client.publications.length > 0);
    const { n } = JSON.parse(client.publications[0]!.data) as { readonly n: number };
    await client.waitFor(() => lastAccountedFor(client, CHANNEL, n - 1) === published);
    expect(client.controlsOf('gap')).toEqual([]);
  }
  const metrics = await edge.metrics();
  expect(metrics.sum('tradewind_edge_workers_lost_total')).toBe(1);
  expect(metrics.sum('tradewind_edge_connections')).toBe(clients.length + later.length);
  expect(await tier.subscribers(CHANNEL)).toBe(1);
  const all = [...kept, ...returned.map(({ client }) => client), ...later];
  await Promise.all(all.map((client) => client.terminate()));
  // Nor does the worker that was lost want the channel any more.
  await eventually(async () => (await tier.subscribers(CHANNEL)) === 0);
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
  const { startEdge } = await import('../../support/services/service.ts');
  await expect(
    startEdge({
      REDIS_URL: tier.redis.url,
      EDGE_WORKERS: String(WORKERS),
      PORT: String(edge.port),
    }),
  ).rejects.toThrow(`port ${edge.port} is in use; set PORT to another`);
});
