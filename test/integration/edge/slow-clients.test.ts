import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { collectGarbage, INSPECTABLE } from '../../support/services/inspector.ts';
import type { TestEdge } from '../../support/services/service.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const CHANNEL = 'BTC.trade';
const MIB = 2 ** 20;

/** More than a kernel buffers for a stalled peer on loopback. */
const BYTES_TOWARDS_EACH = 12 * MIB;

/** The size of the edge, above its size without clients, after they have left and garbage was collected. */
const RETURNED_WITHIN_MIB = 24;

interface Flood {
  readonly stalled: number;
  readonly payloadBytes: number;
  readonly perSecond: number;
}

/** Sends a flood to stalled and reading clients; returns its number of publications. */
async function flood(tier: Tier, { payloadBytes, perSecond }: Omit<Flood, 'stalled'>) {
  const publications = Math.ceil(BYTES_TOWARDS_EACH / payloadBytes);
  const startedAt = performance.now();
  for (let n = 1; n <= publications; n += 1) {
    const published = tier.backend.publish(CHANNEL, JSON.stringify({ n }).padEnd(payloadBytes));
    const ahead = (n / perSecond) * 1_000 - (performance.now() - startedAt);
    if (ahead > 20) await new Promise((resolve) => setTimeout(resolve, ahead));
    if (n % 32 === 0) await published;
  }
  return publications;
}

/** Watches the fullest queue of an edge until `done`; returns the highest value seen. */
async function watchQueues(edge: TestEdge, done: () => boolean) {
  const peak = { depth: 0, bytes: 0 };
  while (!done()) {
    const metrics = await edge.metrics();
    peak.depth = Math.max(peak.depth, metrics.sum('tradewind_edge_queue_depth_max') ?? 0);
    peak.bytes = Math.max(peak.bytes, metrics.sum('tradewind_edge_queue_bytes_max') ?? 0);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return peak;
}

async function runFlood(tier: Tier, options: Flood) {
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  const reading = await Promise.all(
    Array.from({ length: 5 }, () => TestClient.connect(edge.wsUrl, { channels: [CHANNEL] })),
  );
  const before = await collectGarbage(edge);
  const stalled = await Promise.all(
    Array.from({ length: options.stalled }, () =>
      TestClient.connect(edge.wsUrl, { channels: [CHANNEL] }),
    ),
  );
  for (const client of stalled) client.pause();

  let ended = false;
  const watching = watchQueues(edge, () => ended);
  const publications = await flood(tier, options);
  await eventually(
    async () => {
      const metrics = await edge.metrics();
      expect(metrics.sum('tradewind_edge_disconnects_total', { reason: 'slow' })).toBe(
        options.stalled,
      );
    },
    { deadlineMs: 60_000 },
  ).finally(() => {
    ended = true;
  });
  const peak = await watching;
  for (const client of reading) {
    await client.waitFor(() => client.publications.length === publications);
    expect(client.publications.every(({ seq }, i) => seq === i + 1)).toBe(true);
    expect(client.controlsOf('gap')).toEqual([]);
  }
  const metrics = await edge.metrics();
  await Promise.all(stalled.map((client) => client.terminate()));
  await eventually(async () => {
    expect((await edge.metrics()).sum('tradewind_edge_connections')).toBe(reading.length);
  });
  const after = await collectGarbage(edge);
  await Promise.all(reading.map((client) => client.close()));
  return { peak, metrics, before, after };
}

const SETTINGS = { ...INSPECTABLE, EDGE_SLOW_GRACE_MS: '1000' };

it('disconnects many stalled clients as slow at 512 slots, and nobody else notices', async () => {
  await using tier = await startTier({ edges: 1, env: SETTINGS });
  const STALLED = shortOrLong(20, 200);
  const { peak, metrics, before, after } = await runFlood(tier, {
    stalled: STALLED,
    payloadBytes: 1_800,
    perSecond: 1_200,
  });
  expect(peak.depth).toBe(512);
  expect(metrics.sum('tradewind_edge_refusals_total')).toBeGreaterThanOrEqual(3 * STALLED);
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  expect(grown / MIB).toBeLessThan(RETURNED_WITHIN_MIB);
}, 180_000);

it('bounds the queue in bytes as well as in slots', async () => {
  const QUEUE_BYTES = 256 * 1024;
  await using tier = await startTier({
    edges: 1,
    env: { ...SETTINGS, EDGE_QUEUE_BYTES: String(QUEUE_BYTES) },
  });
  const { peak } = await runFlood(tier, {
    stalled: shortOrLong(8, 20),
    payloadBytes: 16_000,
    perSecond: 300,
  });
  expect(peak.bytes).toBeLessThanOrEqual(QUEUE_BYTES);
  expect(peak.bytes).toBeGreaterThan(QUEUE_BYTES - 17_000);
  expect(peak.depth).toBeLessThan(512);
}, 180_000);

it('does not treat a burst as slowness: 2,000 publications at once to clients that read', async () => {
  await using tier = await startTier({ edges: 1 });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  const clients = await Promise.all(
    Array.from({ length: 50 }, () => TestClient.connect(edge.wsUrl, { channels: [CHANNEL] })),
  );
  const pipeline = tier.backend.pipeline();
  const payload = 'x'.repeat(300);
  for (let n = 1; n <= 2_000; n += 1) pipeline.publish(CHANNEL, JSON.stringify({ n, payload }));
  await pipeline.exec();
  for (const client of clients) {
    await client.waitFor(() => client.publications.length === 2_000);
    expect(client.publications.every(({ seq }, i) => seq === i + 1)).toBe(true);
    // Publications that a full queue refused, because the kernel accepted less, came from the log.
    expect(client.controlsOf('gap')).toEqual([]);
  }
  const metrics = await edge.metrics();
  expect(metrics.sum('tradewind_edge_disconnects_total') ?? 0).toBe(0);
  await Promise.all(clients.map((client) => client.close()));
});

/** Stalls a client during a flood, lets it read again, and returns what it received in the end. */
async function stallAndReturn(logBytes: number) {
  await using tier = await startTier({
    edges: 1,
    env: { EDGE_SLOW_GRACE_MS: '60000', EDGE_RING_BYTES: String(logBytes) },
  });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  await using client = await TestClient.connect(edge.wsUrl, { channels: [CHANNEL] });
  client.pause();
  const published = await flood(tier, { payloadBytes: 1_800, perSecond: 5_000 });
  await eventually(async () => {
    const metrics = await edge.metrics();
    expect(metrics.sum('tradewind_edge_publications_received_total')).toBe(published);
    expect(metrics.sum('tradewind_edge_refusals_total')).toBeGreaterThan(0);
  });
  client.resume();
  await client.waitFor(() => client.publications.at(-1)?.seq === published || logBytes === 0);
  if (logBytes === 0) await client.waitFor(() => client.controlsOf('gap').length === 1);
  await tier.backend.publish(CHANNEL, '{"after":true}');
  await client.waitFor(() => client.publications.at(-1)?.data === '{"after":true}');
  const metrics = await edge.metrics();
  return {
    published,
    received: client.publications.slice(0, -1),
    last: client.publications.at(-1)!,
    gaps: client.controlsOf('gap'),
    caughtUp: metrics.sum('tradewind_edge_caught_up_total') ?? 0,
  };
}

it('sends everything that was missed to a client that stalls and reads again in time', async () => {
  const { published, received, gaps, caughtUp } = await stallAndReturn(16 * MIB);
  expect(gaps).toEqual([]);
  expect(received.map(({ seq }) => seq)).toEqual(numbersTo(published));
  expect(received.map(({ data }) => JSON.parse(data).n)).toEqual(numbersTo(published));
  expect(caughtUp).toBeGreaterThan(0);
});

it('sends it what the log still holds, and reports the rest in one exact gap', async () => {
  const { published, received, gaps, caughtUp } = await stallAndReturn(MIB);
  expect(gaps).toMatchObject([{ channel: CHANNEL, reason: 'slow' }]);
  const lost = gaps[0]!.lost as number;
  expect(received.length + lost).toBe(published);
  expect(caughtUp).toBeGreaterThan(100);
  const hole = received.findIndex(({ seq }, i) => seq !== i + 1);
  expect(received[hole]!.seq).toBe(received[hole - 1]!.seq + 1 + lost);
  expect(gaps[0]!.index).toBeGreaterThan(received[hole - 1]!.index);
  expect(gaps[0]!.index).toBeLessThan(received[hole]!.index);
  expect(received.slice(hole).map(({ seq }, i) => seq - i)).toEqual(
    received.slice(hole).map(() => received[hole]!.seq),
  );
});

it('reports exactly what it missed if the log keeps nothing', async () => {
  const { published, received, last, gaps, caughtUp } = await stallAndReturn(0);
  expect(gaps).toMatchObject([
    { channel: CHANNEL, lost: published - received.length, reason: 'slow' },
  ]);
  expect(caughtUp).toBe(0);
  expect(last.seq).toBe(published + 1);
  expect(last.index).toBeGreaterThan(gaps[0]!.index);
  expect(received.map(({ seq }) => seq)).toEqual(numbersTo(received.length));
});

function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}
