import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { createRandom } from '../../support/suite/random.ts';
import { eventually } from '../../support/suite/wait.ts';
import { debugIndex, startTier, type Tier } from '../../support/tier.ts';

/** Limits with room for ten thousand requests at once, because this suite does not test limits. */
const UNLIMITED = {
  EDGE_REQUEST_RATE: '100000',
  EDGE_REQUEST_BURST: '100000',
  EDGE_SUBSCRIBE_RATE: '100000',
  EDGE_NODE_SUBSCRIBE_RATE: '1000000',
  EDGE_LINGER_MS: '100',
};

let tier: Tier;

beforeAll(async () => {
  tier = await startTier({ edges: 2, env: UNLIMITED });
});

afterAll(async () => {
  await tier?.[Symbol.asyncDispose]();
});

it('carries a publication without an offset to the subscribers on both edges, and to nobody else', async () => {
  const [first, second] = tier.edges as [(typeof tier.edges)[0], (typeof tier.edges)[0]];
  await using onFirst = await TestClient.connect(first.wsUrl, { channels: ['BTC.trade'] });
  await using onSecond = await TestClient.connect(second.wsUrl, { channels: ['BTC.trade'] });
  await using other = await TestClient.connect(second.wsUrl, { channels: ['ETH.trade'] });
  await using silent = await TestClient.connect(first.wsUrl);

  expect(await tier.backend.publish('BTC.trade', '{"price":"1"}')).toBe(2);

  for (const client of [onFirst, onSecond]) {
    await client.waitFor(() => client.publications.length === 1);
    expect(client.publications[0]).toMatchObject({
      seq: 1,
      channel: 'BTC.trade',
      data: '{"price":"1"}',
      offset: undefined,
    });
  }
  await other.ping();
  await silent.ping();
  expect(other.publications).toEqual([]);
  expect(silent.publications).toEqual([]);
});

it('holds one subscription per edge with interest, and none after the last subscriber left', async () => {
  const [first, second] = tier.edges as [(typeof tier.edges)[0], (typeof tier.edges)[0]];
  const channel = 'SOL.trade';
  await using a = await TestClient.connect(first.wsUrl, { channels: [channel] });
  await using b = await TestClient.connect(first.wsUrl, { channels: [channel] });
  expect(await tier.subscribers(channel)).toBe(1);
  await using c = await TestClient.connect(second.wsUrl, { channels: [channel] });
  expect(await tier.subscribers(channel)).toBe(2);

  await a.unsubscribe([channel]);
  await b.close();
  await eventually(async () => (await tier.subscribers(channel)) === 1);
  await c.terminate();
  await eventually(async () => (await tier.subscribers(channel)) === 0);
});

it('keeps Redis, both indexes and a model in agreement over 10,000 random operations', async () => {
  const OPERATIONS = 10_000;
  const CHANNELS = Array.from({ length: 40 }, (_, i) => `random.${i}`);
  const seed = Date.now() % 2 ** 31;
  const random = createRandom(seed);
  const clients: { client: TestClient; edge: number; held: Set<string> }[] = [];

  const connect = async (edge: number) => {
    const client = await TestClient.connect(tier.edges[edge]!.wsUrl);
    return { client, edge, held: new Set<string>() };
  };
  for (let i = 0; i < 24; i += 1) clients.push(await connect(i % 2));

  for (let i = 0; i < OPERATIONS; i += 1) {
    const at = random.below(clients.length);
    const { client, edge, held } = clients[at]!;
    const channels = [random, random].map(() => CHANNELS[random.below(CHANNELS.length)]!);
    const kind = random.next();
    if (kind < 0.55) {
      client.request({ type: 'subscribe', channels });
      for (const channel of channels) held.add(channel);
    } else if (kind < 0.98) {
      client.request({ type: 'unsubscribe', channels });
      for (const channel of channels) held.delete(channel);
    } else {
      if (random.next() < 0.5) await client.close();
      else await client.terminate();
      clients[at] = await connect(edge);
    }
    if (i % 500 === 0) await Promise.all(clients.map(({ client: each }) => each.ping()));
  }

  const model = tier.edges.map((_, edge) => {
    const counts: Record<string, number> = {};
    for (const { held } of clients.filter((each) => each.edge === edge)) {
      for (const channel of held) counts[channel] = (counts[channel] ?? 0) + 1;
    }
    return counts;
  });
  await eventually(async () => {
    for (const [i, edge] of tier.edges.entries()) {
      const { busiestChannels } = await debugIndex(edge);
      expect(busiestChannels, `index of edge ${i + 1}, seed ${seed}`).toEqual(model[i]);
    }
    for (const channel of CHANNELS) {
      const wanted = model.filter((counts) => counts[channel] !== undefined).length;
      expect(await tier.subscribers(channel), `${channel}, seed ${seed}`).toBe(wanted);
    }
  });

  await Promise.all(clients.map(({ client }) => client.close()));
  await eventually(async () => {
    for (const channel of CHANNELS) expect(await tier.subscribers(channel)).toBe(0);
    for (const edge of tier.edges) {
      expect(await debugIndex(edge)).toMatchObject({ connections: 0, redisChannels: 0 });
    }
  });
});
