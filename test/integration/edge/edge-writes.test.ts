import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import type { TestEdge } from '../../support/services/service.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const HAS_SEND = process.platform === 'linux' && process.arch === 'x64';

it.runIf(HAS_SEND).each([
  [{}, { writes: 'send', queueSlots: 512, queueBytes: 1_048_576 }],
  [{ EDGE_WRITES: 'send', EDGE_WORKERS: '2' }, { writes: 'send' }],
  [
    { EDGE_WRITES: 'stream', EDGE_QUEUE_SLOTS: '64', EDGE_QUEUE_BYTES: '262144' },
    { writes: 'stream', queueSlots: 64, queueBytes: 262_144 },
  ],
])('logs how it writes and how long its queues are, and delivers, with %j', async (env, said) => {
  await using tier: Tier = await startTier({ edges: 1, env });
  const [edge] = tier.edges as [TestEdge];
  const listening = edge.output.find((line) => line.includes('"msg":"listening"')) ?? '{}';
  expect(JSON.parse(listening)).toMatchObject(said);
  await using client = await TestClient.connect(edge.wsUrl, { channels: ['BTC.trade'] });
  await tier.backend.publish('BTC.trade', '{"price":"1"}');
  await client.waitFor(() => client.publications.length === 1);
});
