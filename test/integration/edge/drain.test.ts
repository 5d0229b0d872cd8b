import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const CHANNEL = 'BTC.trade';

it('sends 500 clients away in time on SIGTERM, and loses nothing that was queued', async () => {
  const DRAIN_SECONDS = 8;
  await using tier = await startTier({
    edges: 1,
    env: { DRAIN_SECONDS: String(DRAIN_SECONDS), DRAIN_ACCEPT_SECONDS: '1' },
  });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  const clients = await Promise.all(
    Array.from({ length: 500 }, () => TestClient.connect(edge.wsUrl, { channels: [CHANNEL] })),
  );
  const closedAt = new Map<TestClient, number>();
  for (const client of clients) {
    void client.closed.then(() => closedAt.set(client, performance.now()));
  }

  const publishedAt: number[] = [];
  let running = true;
  const load = (async () => {
    while (running) {
      await tier.backend.publish(CHANNEL, JSON.stringify({ n: publishedAt.length + 1 }));
      publishedAt.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();

  const signalledAt = performance.now();
  edge.signal('SIGTERM');
  await eventually(async () => (await fetch(`${edge.url}/readyz`)).status === 503);
  const late = await TestClient.connect(edge.wsUrl);
  const exit = await edge.exited;
  const seconds = (performance.now() - signalledAt) / 1_000;
  running = false;
  await load;

  expect(exit).toEqual({ code: 0, signal: null });
  expect(seconds).toBeLessThan(DRAIN_SECONDS + 1 + BUSY_MACHINE_MS / 1_000);
  expect((await late.closed).code).toBe(1012);
  for (const client of clients) {
    expect(await client.closed).toEqual({ code: 1012, reason: 'draining' });
    const [notice] = client.controlsOf('reconnect');
    expect(notice).toMatchObject({ reason: 'draining' });
    expect(notice!.deadlineMs).toBeGreaterThan(notice!.afterMs);
    const received = client.publications.map(({ data }) => data);
    expect(received).toEqual(received.map((_, i) => JSON.stringify({ n: i + 1 })));
    const SETTLED_MS = 3_000;
    const due = publishedAt.filter((at) => at < closedAt.get(client)! - SETTLED_MS).length;
    expect(received.length).toBeGreaterThanOrEqual(due);
  }
  const deadlines = clients.map((client) => client.controlsOf('reconnect')[0]!.deadlineMs);
  expect(Math.max(...deadlines) - Math.min(...deadlines)).toBeGreaterThan(1_500);
});

it('waits for a client that reads late, until everything that was queued for it is written', async () => {
  const PUBLICATIONS = 250;
  const payload = JSON.stringify({ text: 'x'.repeat(60_000) });
  await using tier = await startTier({
    edges: 1,
    env: { DRAIN_SECONDS: '8', DRAIN_ACCEPT_SECONDS: '0', EDGE_QUEUE_BYTES: String(32 * 2 ** 20) },
  });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  await using client = await TestClient.connect(edge.wsUrl, { channels: [CHANNEL] });
  client.pause();
  for (let i = 0; i < PUBLICATIONS; i += 1) await tier.backend.publish(CHANNEL, payload);
  await eventually(async () => {
    const metrics = await edge.metrics();
    return metrics.sum('tradewind_edge_publications_received_total') === PUBLICATIONS;
  });
  expect((await edge.metrics()).sum('tradewind_edge_queue_depth_max')).toBeGreaterThan(0);

  edge.signal('SIGTERM');
  await eventually(() => edge.output.some((line) => line.includes('drain_started')));
  client.resume();
  expect(await client.closed).toEqual({ code: 1012, reason: 'draining' });
  expect(client.publications.map(({ seq }) => seq)).toEqual(
    Array.from({ length: PUBLICATIONS }, (_, i) => i + 1),
  );
  expect((await edge.exited).code).toBe(0);
});

it('stops at once on a second signal', async () => {
  await using tier = await startTier({ edges: 1, env: { DRAIN_SECONDS: '60' } });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  await using client = await TestClient.connect(edge.wsUrl, { channels: [CHANNEL] });
  edge.signal('SIGTERM');
  await eventually(() => edge.output.some((line) => line.includes('drain_started')));
  const hurriedAt = performance.now();
  edge.signal('SIGTERM');
  expect(await client.closed).toEqual({ code: 1012, reason: 'draining' });
  expect((await edge.exited).code).toBe(0);
  expect(performance.now() - hurriedAt).toBeLessThan(20_000);
});
