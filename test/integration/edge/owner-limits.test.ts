import { afterEach, describe, expect, it } from 'vitest';
import { type ChannelChoice, TestClient } from '../../support/clients/client.ts';
import type { ServiceEnvironment, TestEdge } from '../../support/services/service.ts';
import { startTier, type Tier } from '../../support/tier.ts';

/** Clients come from the addresses that the tests' own address, as a proxy, says. */
const PROXIED: ServiceEnvironment = { EDGE_TRUSTED_PROXIES: '127.0.0.1' };

const GREEDY = '203.0.113.7';
const OTHER = '2001:db8::1';

const clients: TestClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client[Symbol.asyncDispose]();
});

async function clientOf(tier: Tier, address: string): Promise<TestClient> {
  const [edge] = tier.edges as [TestEdge];
  const headers = { 'x-forwarded-for': `198.51.100.1, ${address}` };
  const client = await TestClient.connect(edge.wsUrl, { headers });
  clients.push(client);
  return client;
}

describe('the connections of one address', () => {
  it('are counted by each of three workers at its share', { timeout: 60_000 }, async () => {
    const MOST = 30;
    const env = { EDGE_WORKERS: '3', EDGE_ADDRESS_MAX_CONNECTIONS: String(MOST) };
    await using tier = await startTier({ edges: 1, env: { ...PROXIED, ...env } });
    let refused = 0;
    for (let i = 0; i < 4 * MOST; i += 1) {
      const refusal = await clientOf(tier, GREEDY).then(
        () => undefined,
        (error: Error) => error.message,
      );
      if (refusal === undefined) continue;
      expect(refusal).toContain('429');
      refused += 1;
    }
    // A worker is full of them at ten, and 120 attempts reach each worker more often than that.
    expect(clients).toHaveLength(MOST);
    expect(refused).toBe(3 * MOST);
    await clientOf(tier, OTHER);
  });
});

describe('what a node may ask of Redis is not used up by one address', () => {
  const NEW_CHANNELS: ServiceEnvironment = {
    EDGE_NODE_SUBSCRIBE_RATE: '100',
    EDGE_MAX_CHANNELS_PER_CLIENT: '40',
    EDGE_SUBSCRIBE_RATE: '1',
    EDGE_LINGER_MS: '0',
  };

  /** One address asks for 480 new channels, and then another one for 40: how many each gets. */
  async function offerChannels(tier: Tier) {
    const names = (prefix: string) => Array.from({ length: 40 }, (_, i) => `${prefix}.${i}`);
    // They connect before: a machine that takes long for that would let the node earn what they ask for.
    const many = await Promise.all(Array.from({ length: 12 }, () => clientOf(tier, GREEDY)));
    const client = await clientOf(tier, OTHER);
    const askedAt = performance.now();
    const asked = many.map((each, i) => each.subscribe(names(`g${i}`)));
    // Right behind them: within 0.4 s the node would have earned what the other one asks for.
    const askedByOther = client.subscribe(names('o'));
    const answers = await Promise.all(asked);
    const greedy = answers.reduce((sum, { channels }) => sum + channels.length, 0);
    const seconds = (performance.now() - askedAt) / 1_000;
    const { channels } = await askedByOther;
    return { greedy, seconds, other: channels.length };
  }

  it('in new channels', { timeout: 60_000 }, async () => {
    await using tier = await startTier({ edges: 1, env: { ...PROXIED, ...NEW_CHANNELS } });
    const { greedy, seconds, other } = await offerChannels(tier);
    expect(greedy).toBeLessThan(160 + 100 * seconds);
    expect(other).toBe(40);
    const metrics = await tier.edges[0]!.metrics();
    const refused = { limit: 'address_channels', enforced: 'true' };
    expect(metrics.sum('tradewind_edge_limited_total', refused)).toBeGreaterThan(0);
    const unused = { limit: 'node_subscribes', enforced: 'true' };
    expect(metrics.sum('tradewind_edge_limited_total', unused)).toBe(0);
  });

  it('(control) in new channels, where addresses are not known', { timeout: 60_000 }, async () => {
    await using tier = await startTier({ edges: 1, env: NEW_CHANNELS });
    const { other } = await offerChannels(tier);
    expect(other).toBeLessThan(40);
  });

  const HISTORY: ServiceEnvironment = {
    EDGE_HISTORY_READ_BYTES_PER_SECOND: '65536',
    EDGE_REPLAY_RATE_BYTES: '1024',
    EDGE_REPLAY_BURST_BYTES: '65536',
  };
  const PUBLICATIONS = 40;
  const BYTES = 40_000;

  /** Between the ms of an answer and the three seconds after which the node may read as much. */
  const QUICK_MS = 1_500;

  /** One address asks for eight histories at once, and then another one for one: how long that takes, in ms. */
  async function offerHistories(tier: Tier) {
    const channels = ['o', ...Array.from({ length: 8 }, (_, i) => `g${i}`)];
    const payload = JSON.stringify('x'.repeat(BYTES / PUBLICATIONS));
    for (const channel of channels) {
      await tier.backend.set(`{${channel}}:meta`, `abc:${PUBLICATIONS}`);
      for (let i = 1; i <= PUBLICATIONS; i += 1) {
        await tier.backend.xadd(`{${channel}}:log`, `${i}-0`, 't', '1', 'p', payload);
      }
    }
    const history = (channel: string): ChannelChoice[] => [{ channel, history: 1_000 }];
    const other = await clientOf(tier, OTHER);
    // One after another until the limit is met: requests at once would be charged before their sizes are known.
    const [first, second, ...greedy] = await Promise.all(
      Array.from({ length: 8 }, () => clientOf(tier, GREEDY)),
    );
    await first!.subscribe(history('g0'));
    await second!.subscribe(history('g1'));
    const answers = greedy.map((client, i) => client.subscribe(history(`g${i + 2}`)));
    const askedAt = performance.now();
    const { channels: got } = await other.subscribe(history('o'));
    const ms = performance.now() - askedAt;
    const rejected = (await Promise.all(answers)).flatMap((answer) => answer.rejected);
    return { ms, replayed: got[0]?.replayed, rejected: rejected.length };
  }

  it('in bytes of history', { timeout: 60_000 }, async () => {
    await using tier = await startTier({ edges: 1, env: { ...PROXIED, ...HISTORY } });
    const { ms, replayed, rejected } = await offerHistories(tier);
    expect(replayed).toBe(PUBLICATIONS);
    expect(rejected).toBeGreaterThanOrEqual(5);
    expect(ms).toBeLessThan(QUICK_MS);
  });

  it('(control) in bytes of history, where addresses are not known', {
    timeout: 60_000,
  }, async () => {
    await using tier = await startTier({ edges: 1, env: HISTORY });
    const { ms } = await offerHistories(tier);
    expect(ms).toBeGreaterThan(QUICK_MS);
  });
});
