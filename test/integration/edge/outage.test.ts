import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { IS_CLUSTER, serviceEnv, startReceiver } from '../../support/redis/redis-mode.ts';
import { startIngest } from '../../support/services/service.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { fatalLines, isReady, startTier, type Tier } from '../../support/tier.ts';

const CHANNEL = 'BTC.trade';

let tier: Tier;

beforeEach(async () => {
  tier = await startTier({ edges: 2 });
});

afterEach(async () => {
  await tier?.[Symbol.asyncDispose]();
});

it('survives Redis being killed and started again under load, and notifies its clients', async ({
  skip,
}) => {
  skip(
    IS_CLUSTER,
    'the shards go one after the other, and clients are told of each; test/chaos has it',
  );
  // Shorter than the outage, so that some publications are refused.
  await using ingest = await startIngest({ ...serviceEnv(tier.redis), INGEST_MAX_AGE_MS: '300' });
  const clients = await Promise.all(
    [0, 1, 0, 1].map((i) => TestClient.connect(tier.edges[i]!.wsUrl, { channels: [CHANNEL] })),
  );
  const publish = (data: string) =>
    fetch(`${ingest.url}/v1/channels/${CHANNEL}`, { method: 'POST', body: data });
  const acknowledged: string[] = [];
  const refused: string[] = [];
  let n = 0;
  let running = true;
  const load = (async () => {
    while (running) {
      const data = JSON.stringify({ n: ++n });
      const response = await publish(data);
      if (response.status === 200) {
        acknowledged.push(data);
      } else {
        expect(response.status).toBe(503);
        expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
        refused.push(data);
      }
      await response.arrayBuffer();
    }
  })();

  await eventually(() => acknowledged.length > 50);
  await tier.redis.kill();
  for (const client of clients) {
    await client.waitFor(() => client.controlsOf('degraded').length === 1);
  }
  await eventually(() => refused.length > 5);
  for (const edge of tier.edges) {
    const readiness = await (await fetch(`${edge.url}/readyz`)).json();
    expect(readiness).toMatchObject({ ready: true, degraded: true });
  }
  const late = await TestClient.connect(tier.edges[0]!.wsUrl);
  expect((await late.subscribe([CHANNEL])).rejected).toEqual([
    { channel: CHANNEL, code: 'unavailable', retryAfterMs: expect.any(Number) },
  ]);
  await late.close();

  await tier.redis.restart();
  for (const client of clients) {
    await client.waitFor(() => client.controlsOf('restored').length === 1);
    // The first epoch began with the channel's first publication, the second one because Redis is empty.
    await client.waitFor(() => client.controlsOf('resync').length === 2);
    const reasons = client.controlsOf('resync').map(({ reason }) => reason);
    expect(reasons).toEqual(['started', 'history_lost']);
    expect(client.controlsOf('gap')).toEqual([]);
  }
  const before = acknowledged.length;
  await eventually(() => acknowledged.length > before + 50);
  running = false;
  await load;

  const last = acknowledged.at(-1)!;
  const unacknowledged = new Set(refused);
  for (const client of clients) {
    await client.waitFor(() => client.publications.some(({ data }) => data === last));
    const received = client.publications.map(({ data }) => data);
    expect(received.filter((data) => unacknowledged.has(data))).toEqual([]);
    expect(new Set(received).size).toBe(received.length);
    expect(client.publications.map(({ seq }) => seq)).toEqual(received.map((_, i) => i + 1));
    const [, resync] = client.controlsOf('resync');
    const after = client.publications.filter(({ index }) => index > resync!.index);
    const resumedAt = acknowledged.indexOf(after[0]!.data);
    expect(after.map(({ data }) => data)).toEqual(acknowledged.slice(resumedAt));
    await client.close();
  }
  expect(fatalLines(ingest)).toEqual([]);
  for (const edge of tier.edges) {
    expect(fatalLines(edge)).toEqual([]);
    expect(await isReady(edge)).toBe(true);
  }
});

it('notices within 3 s that Redis is frozen, and continues after it thaws', async () => {
  await using client = await TestClient.connect(tier.edges[0]!.wsUrl, { channels: [CHANNEL] });
  const unprotected = await startReceiver(tier.redis, CHANNEL, () => {});
  await tier.redis.freeze();
  const frozenAt = performance.now();
  await client.waitFor(() => client.controlsOf('degraded').length === 1);
  expect(performance.now() - frozenAt).toBeLessThan(3_000 + BUSY_MACHINE_MS);
  expect(unprotected.status, 'the control: a plain subscriber notices nothing').toBe('ready');
  unprotected.disconnect();

  await tier.redis.thaw();
  await client.waitFor(() => client.controlsOf('restored').length === 1);
  await eventually(async () => (await tier.subscribers(CHANNEL)) === 1);
  await tier.backend.publish(CHANNEL, '{"back":true}');
  await client.waitFor(() => client.publications.some(({ data }) => data === '{"back":true}'));
});

it('notifies subscribers after the ACL has forbidden a channel, and lets the others flow', async () => {
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  await using client = await TestClient.connect(edge.wsUrl, {
    channels: [CHANNEL, 'ETH.trade'],
  });
  await tier.backend.call('ACL', 'SETUSER', 'default', 'resetchannels', '&ETH.trade');
  await tier.backend.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await client.waitFor(() => client.controlsOf('unsubscribed').length > 0);
  expect(client.controlsOf('unsubscribed')).toMatchObject([
    { channels: [CHANNEL], reason: 'unavailable' },
  ]);
  await client.waitFor(() => client.controlsOf('restored').length === 1);
  await tier.backend.publish('ETH.trade', '1');
  await client.waitFor(() => client.publicationsOn('ETH.trade').length === 1);
  expect((await client.subscribe([CHANNEL])).rejected).toEqual([
    { channel: CHANNEL, code: 'unavailable', retryAfterMs: expect.any(Number) },
  ]);

  await tier.backend.call('ACL', 'SETUSER', 'default', 'allchannels');
  expect((await client.subscribe([CHANNEL])).rejected).toEqual([]);
  expect(fatalLines(edge)).toEqual([]);
});
