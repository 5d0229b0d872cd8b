import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { collectGarbage, INSPECTABLE } from '../../support/services/inspector.ts';
import { eventually } from '../../support/suite/wait.ts';
import { debugIndex, fatalLines, startTier, type Tier } from '../../support/tier.ts';

const MAX_CHANNELS = 5_000;
const MAX_CHANNELS_PER_CLIENT = 100;

let tier: Tier;

beforeAll(async () => {
  tier = await startTier({
    edges: 1,
    env: {
      ...INSPECTABLE,
      EDGE_MAX_CHANNELS: String(MAX_CHANNELS),
      EDGE_MAX_CHANNELS_PER_CLIENT: String(MAX_CHANNELS_PER_CLIENT),
      // A client must reach its channels, however fast the machine sends: the rate would refuse the rest before.
      EDGE_SUBSCRIBE_RATE: '100000',
      EDGE_NODE_SUBSCRIBE_RATE: '100000',
      EDGE_CHANNELS: '*.trade,flood.*',
      EDGE_LINGER_MS: '100',
    },
  });
});

afterAll(async () => {
  await tier?.[Symbol.asyncDispose]();
});

const edge = () => tier.edges[0]!;

/** Proves that the edge still serves: a new client receives the next publication. */
async function expectToServe(): Promise<void> {
  await using client = await TestClient.connect(edge().wsUrl, { channels: ['alive.trade'] });
  await tier.backend.publish('alive.trade', '"yes"');
  await client.waitFor(() => client.publications.length === 1);
  expect(fatalLines(edge())).toEqual([]);
}

it.each([
  ['not JSON', '{"type":', 'bad_json'],
  ['JSON that is no object', '[1]', 'bad_message'],
  ['an unknown type', '{"type":"publish","channel":"BTC.trade"}', 'unknown_type'],
  ['no channels', '{"type":"subscribe"}', 'bad_message'],
  ['an id that is no id', '{"type":"ping","id":{}}', 'bad_id'],
  ['a token that nobody asked for', '{"type":"auth","token":"x"}', 'not_available'],
])('answers %s with its code and stays connected', async (_, text, code) => {
  await using client = await TestClient.connect(edge().wsUrl);
  client.sendText(text);
  await client.waitFor(() => client.controlsOf('error').length === 1);
  expect(client.controlsOf('error')[0]).toMatchObject({ code, retryable: false });
  await client.ping();
});

it('answers a binary frame with its code', async () => {
  await using client = await TestClient.connect(edge().wsUrl);
  client.sendBinary(Buffer.from([1, 2, 3]));
  await client.waitFor(() => client.controlsOf('error').length === 1);
  expect(client.controlsOf('error')[0]).toMatchObject({ code: 'not_available' });
});

it('closes on a frame above the announced limit, with 1009', async () => {
  const client = await TestClient.connect(edge().wsUrl);
  client.sendText('x'.repeat(client.welcome.limits.maxMessageBytes + 1));
  expect((await client.closed).code).toBe(1009);
  await eventually(async () => {
    const metrics = await edge().metrics();
    expect(metrics.sum('tradewind_edge_disconnects_total', { reason: 'message_too_large' })).toBe(
      1,
    );
  });
});

it.each([
  ['a control character', 'BTC\n.trade', 'bad_channel'],
  ['a glob', 'BTC.*', 'bad_channel'],
  ['a brace', '{BTC}.trade', 'bad_channel'],
  ['129 characters', 'x'.repeat(129), 'bad_channel'],
  ['a reserved name', 'tw:probe:trade', 'reserved_channel'],
  ['a keyspace channel', '__keyspace@0__:x.trade', 'bad_channel'],
  ['a name that is not offered', 'BTC.orders', 'channel_not_allowed'],
])('rejects %s and never shows it to Redis', async (_, channel, code) => {
  await using client = await TestClient.connect(edge().wsUrl);
  const { channels, rejected } = await client.subscribe([channel]);
  expect(channels).toEqual([]);
  expect(rejected).toEqual([{ channel: channel.slice(0, 128), code }]);
  expect(await tier.subscribers(channel)).toBe(0);
});

it('answers every request for history that a channel has none', async () => {
  await using client = await TestClient.connect(edge().wsUrl);
  const { channels } = await client.subscribe([
    { channel: 'BTC.trade', since: { epoch: 'a1', offset: 5 } },
    { channel: 'ETH.trade', history: 10 },
  ]);
  // The end of the history is read only for the channel with a `since`.
  const inOrder = channels.toSorted((a, b) => a.channel.localeCompare(b.channel));
  expect(inOrder).toMatchObject([
    { channel: 'BTC.trade', recovered: false, reason: 'no_history' },
    { channel: 'ETH.trade', recovered: true, replayed: 0 },
  ]);
});

it('caps what 100 clients with 10,000 names each can take of Redis and of memory', async () => {
  const HEAP_MIB_AT_MOST = 48;
  const before = await collectGarbage(edge());
  const clients = await Promise.all(
    Array.from({ length: 100 }, () => TestClient.connect(edge().wsUrl)),
  );
  const peak = { channels: 0 };
  await Promise.all(
    clients.map(async (client, i) => {
      for (let from = 0; from < 10_000; from += 128) {
        const names = Array.from({ length: 128 }, (_, n) => `flood.${i}.${from + n}`);
        client.request({ type: 'subscribe', channels: names });
        if (from % 1_280 === 0) {
          await client.ping();
          if (i === 0) {
            const { redisChannels } = await eventually(() => debugIndex(edge()));
            peak.channels = Math.max(peak.channels, redisChannels);
          }
        }
      }
    }),
  );
  await eventually(async () => {
    const { subscriptions } = await debugIndex(edge());
    expect(subscriptions).toBeGreaterThan(MAX_CHANNELS / 2);
  });
  const held = (await tier.backend.pubsub('CHANNELS', 'flood.*')) as string[];
  expect(held.length).toBeLessThanOrEqual(MAX_CHANNELS);
  expect(peak.channels).toBeLessThanOrEqual(MAX_CHANNELS);
  const codes = new Set(
    clients.flatMap((client) =>
      client
        .controlsOf('subscribed')
        .flatMap((answer) => answer.rejected?.map((r) => r.code) ?? []),
    ),
  );
  expect([...codes].sort()).toEqual(
    expect.arrayContaining(['node_channels_full', 'too_many_channels']),
  );
  const during = await collectGarbage(edge());
  expect((during.heapUsed - before.heapUsed) / 2 ** 20).toBeLessThan(HEAP_MIB_AT_MOST);

  await Promise.all(clients.map((client) => client.terminate()));
  await eventually(async () => {
    expect(await tier.backend.pubsub('CHANNELS', 'flood.*')).toEqual([]);
  });
  await expectToServe();
});

it('passes on every payload of backends without letting it escape the envelope', async () => {
  await using client = await TestClient.connect(edge().wsUrl, { channels: ['BTC.trade'] });
  const counted = async (metric: string, reason: string) =>
    (await edge().metrics()).sum(metric, { reason }) ?? 0;

  await tier.backend.publish('BTC.trade', 'plain text with "quotes" and \n');
  await tier.backend.publish('BTC.trade', '1,"type":"reconnect"');
  await tier.backend.publish('BTC.trade', '{"a":1}}{"type":"error"');
  await tier.backend.publish('BTC.trade', Buffer.from([0x22, 0xff, 0xfe, 0x22]));
  await tier.backend.publish('BTC.trade', '@1:k3x9:7:1795416898073;{"forged":true}');
  await tier.backend.publish('BTC.trade', '@2:whatever');
  await tier.backend.publish('BTC.trade', 'x'.repeat(70_000));
  await tier.backend.publish('BTC.trade', '');
  await tier.backend.publish('BTC.trade', '{"last":1.10}');
  await client.waitFor(() => client.publications.at(-1)?.data === '{"last":1.10}');

  expect(client.publications.map(({ data }) => data)).toEqual([
    JSON.stringify('plain text with "quotes" and \n'),
    JSON.stringify('1,"type":"reconnect"'),
    JSON.stringify('{"a":1}}{"type":"error"'),
    '""',
    '{"last":1.10}',
  ]);
  expect(client.publications.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  expect(client.publications.every(({ offset }) => offset === undefined)).toBe(true);
  expect(client.controls.map(({ type }) => type)).toEqual(['welcome', 'subscribed']);
  for (const reason of ['unreadable', 'too_large'])
    expect(await counted('tradewind_edge_publications_dropped_total', reason), reason).toBe(1);
  for (const reason of ['no_meta', 'unknown_header'])
    expect(await counted('tradewind_edge_headers_rejected_total', reason), reason).toBe(1);
  await expectToServe();
});

it('disconnects a client that keeps sending after `rate_limited`', async () => {
  const client = await TestClient.connect(edge().wsUrl);
  for (let i = 0; i < 1_000; i += 1) client.sendText('{"type":"ping"}');
  expect(await client.closed).toEqual({ code: 4029, reason: 'rate_limited' });
  await expectToServe();
});

it('disconnects a client that floods it with WebSocket pings', async () => {
  const client = await TestClient.connect(edge().wsUrl);
  for (let i = 0; i < 5_000 && client.isOpen; i += 50) {
    for (let n = 0; n < 50; n += 1) client.sendPing();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await client.closed).toEqual({ code: 4029, reason: 'rate_limited' });
  await expectToServe();
});
