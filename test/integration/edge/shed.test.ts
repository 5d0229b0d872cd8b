import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { eventually } from '../../support/suite/wait.ts';
import { debugIndex, startTier } from '../../support/tier.ts';

const CLIENTS = 60;

/** How long a node may take to log a signal, in ms. */
const SIGNAL_DEADLINE_MS = 30_000;

it.each([1, 3])(
  'sheds some of its clients over %i workers, and continues to serve the others',
  async (workers) => {
    await using tier = await startTier({ edges: 1, env: { EDGE_WORKERS: String(workers) } });
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => TestClient.connect(edge.wsUrl, { channels: ['a'] })),
    );

    const answer = await fetch(`${edge.adminUrl}/shed?count=20&overSeconds=2`, { method: 'POST' });
    expect(answer.status).toBe(202);
    expect(await answer.json()).toEqual({
      status: 'shedding',
      connections: CLIENTS,
      count: 20,
      overSeconds: 2,
    });
    await eventually(async () => (await debugIndex(edge)).connections === CLIENTS - 20);
    const told = await eventually(() => {
      const those = clients.filter((client) => client.controlsOf('reconnect').length > 0);
      expect(those).toHaveLength(20);
      return those;
    });
    for (const client of told) {
      expect(client.controlsOf('reconnect')).toMatchObject([{ reason: 'rebalancing' }]);
      expect((await client.closed).code).toBe(1012);
    }

    expect((await fetch(`${edge.url}/readyz`)).status).toBe(200);
    await using newcomer = await TestClient.connect(edge.wsUrl, { channels: ['a'] });
    // 8,000 a second, with the connections of all workers.
    expect(newcomer.welcome.reconnect).toEqual({ spreadMs: Math.ceil((CLIENTS - 20 + 1) / 8) });
    await tier.backend.publish('a', '1');
    const staying = clients.filter((client) => !told.includes(client));
    for (const client of [...staying, newcomer]) {
      await client.waitFor(() => client.publications.length === 1);
    }
    await Promise.all(staying.map((client) => client.terminate()));
  },
);

it('refuses invalid input, and refuses everything while the node drains', async () => {
  await using tier = await startTier({
    edges: 1,
    env: { DRAIN_SECONDS: '20', DRAIN_ACCEPT_SECONDS: '10' },
  });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  const post = (path: string) => fetch(`${edge.adminUrl}${path}`, { method: 'POST' });
  expect((await post('/shed?count=all')).status).toBe(400);
  await post('/drain');
  await eventually(async () => (await post('/shed?count=1&overSeconds=1')).status === 503);
  edge.signal('SIGTERM');
  // Two signals that arrive before either is handled count as one.
  await edge.waitForLine((line) => line.includes('"signals":1') || undefined, SIGNAL_DEADLINE_MS);
  edge.signal('SIGTERM');
});
