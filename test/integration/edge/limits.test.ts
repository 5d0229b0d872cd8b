import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { expectRate, OFFERED_MS, offer, TIMES } from '../../support/clients/offered.ts';
import {
  type ServiceEnvironment,
  startEdge,
  type TestEdge,
  untilLinked,
} from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const REQUESTS = { perSecond: 100, burst: 100 };
const MENTIONS = { perSecond: 20, burst: 40 };
const REPLAY = { perSecond: 100_000, burst: 65_536 };
const HISTORY = { publications: 40, bytes: 40_000 };

let tier: Tier;
let trying: TestEdge;

beforeAll(async () => {
  const env: ServiceEnvironment = {
    EDGE_REQUEST_RATE: String(REQUESTS.perSecond),
    EDGE_REQUEST_BURST: String(REQUESTS.burst),
    EDGE_SUBSCRIBE_RATE: String(MENTIONS.perSecond),
    EDGE_MAX_CHANNELS_PER_CLIENT: String(MENTIONS.burst),
    EDGE_REPLAY_RATE_BYTES: String(REPLAY.perSecond),
    EDGE_REPLAY_BURST_BYTES: String(REPLAY.burst),
    EDGE_MAX_CHANNELS: '100',
    EDGE_LINGER_MS: '0',
  };
  tier = await startTier({ edges: 1, env });
  trying = await startEdge({ ...env, REDIS_URL: tier.redis.url, EDGE_LIMITS: 'report' });
  await untilLinked(trying);
  const payload = JSON.stringify('x'.repeat(HISTORY.bytes / HISTORY.publications - 100));
  await tier.backend.set('{h}:meta', `abc:${HISTORY.publications}`);
  for (let i = 1; i <= HISTORY.publications; i += 1) {
    await tier.backend.xadd('{h}:log', `${i}-0`, 't', '1', 'p', payload);
  }
});

afterAll(async () => {
  await trying?.[Symbol.asyncDispose]();
  await tier?.[Symbol.asyncDispose]();
});

const enforcing = () => tier.edges[0]!;

/** Offers requests; returns how many were accepted at once, and later per second of the edge's own clock. */
async function offerRequests(edge: TestEdge) {
  await using client = await TestClient.connect(edge.wsUrl);
  for (let i = 0; i < REQUESTS.burst * 1.5; i += 1) client.request({ type: 'ping' });
  await client.waitFor(() => answersOf(client) === REQUESTS.burst * 1.5);
  const atOnce = client.controlsOf('pong');
  await offer(REQUESTS.perSecond * TIMES, () => client.request({ type: 'ping' }));
  const later = client.controlsOf('pong').slice(atOnce.length);
  return {
    atOnce: atOnce.length,
    atOnceMs: (atOnce.at(-1)?.serverTime ?? 0) - (atOnce[0]?.serverTime ?? 0),
    later: later.length - 1,
    seconds: ((later.at(-1)?.serverTime ?? 0) - (later[0]?.serverTime ?? 0)) / 1_000,
  };
}

const answersOf = (client: TestClient): number =>
  client.controlsOf('pong').length + client.controlsOf('error').length;

/** The same for channels named in subscribes. */
async function offerMentions(edge: TestEdge) {
  await using client = await TestClient.connect(edge.wsUrl);
  const { seconds, accepted } = { seconds: [] as number[], accepted: [] as number[] };
  const perRound = 6;
  const name = (round: number) => (_: unknown, i: number) => `m${round}.${i}`;
  const ask = async (count: number, round: number): Promise<void> => {
    const channels = Array.from({ length: count }, name(round));
    const answer = await client.subscribe(channels);
    await client.unsubscribe(channels);
    await client.ping();
    accepted.push(answer.channels.length);
    seconds.push((client.controlsOf('pong').at(-1)?.serverTime ?? 0) / 1_000);
  };
  await ask(MENTIONS.burst * 1.5, 0);
  const begun = performance.now();
  for (let round = 1; performance.now() - begun < OFFERED_MS; round += 1) {
    await ask(perRound, round);
    await sleep((perRound * 1_000) / (MENTIONS.perSecond * TIMES) - 20);
  }
  return {
    atOnce: accepted[0] ?? 0,
    later: accepted.slice(1).reduce((sum, count) => sum + count, 0),
    seconds: (seconds.at(-1) ?? 0) - (seconds[0] ?? 0),
  };
}

/** The same for bytes of history. */
async function offerReplays(edge: TestEdge) {
  await using client = await TestClient.connect(edge.wsUrl);
  const begun = performance.now();
  let retryAfterMs: number | undefined;
  while (performance.now() - begun < OFFERED_MS) {
    const before = client.publications.length;
    const { channels, rejected } = await client.subscribe([{ channel: 'h', history: 1_000 }]);
    retryAfterMs ??= rejected[0]?.retryAfterMs;
    const replayed = channels[0]?.replayed ?? 0;
    await client.waitFor(() => client.publications.length === before + replayed);
    if (channels.length > 0) await client.unsubscribe(['h']);
    // Each attempt is also a mention.
    await sleep(1_000 / MENTIONS.perSecond);
  }
  const bytes = client.publications.length * (HISTORY.bytes / HISTORY.publications);
  return { bytes, seconds: (performance.now() - begun) / 1_000, retryAfterMs };
}

describe('three times what a limit allows', { timeout: 20_000 + 3 * OFFERED_MS }, () => {
  it('is accepted at the rate, and the burst once', async () => {
    const [requests, mentions, replays] = await Promise.all([
      offerRequests(enforcing()),
      offerMentions(enforcing()),
      offerReplays(enforcing()),
    ]);
    expect(requests.atOnce).toBeGreaterThanOrEqual(REQUESTS.burst);
    const earned = (requests.atOnceMs / 1_000) * REQUESTS.perSecond;
    expect(requests.atOnce).toBeLessThanOrEqual(REQUESTS.burst + earned + 1);
    expectRate(requests.later, REQUESTS.perSecond * requests.seconds, 1);

    expect(mentions.atOnce).toBeGreaterThanOrEqual(MENTIONS.burst);
    expect(mentions.atOnce).toBeLessThanOrEqual(MENTIONS.burst + 1);
    expectRate(mentions.later, MENTIONS.perSecond * mentions.seconds, 1);

    // A replay that has begun is finished.
    expectRate(replays.bytes, REPLAY.burst + REPLAY.perSecond * replays.seconds, HISTORY.bytes);
    expect(replays.retryAfterMs).toBeGreaterThan(0);

    const metrics = await enforcing().metrics();
    for (const limit of ['requests', 'mentions', 'replay']) {
      const count = (enforced: string) =>
        metrics.sum('tradewind_edge_limited_total', { limit, enforced });
      expect(count('true'), limit).toBeGreaterThan(0);
      expect(count('false'), limit).toBe(0);
    }
  });

  it('is executed and counted with EDGE_LIMITS=report', async () => {
    const [requests, mentions, replays] = await Promise.all([
      offerRequests(trying),
      offerMentions(trying),
      offerReplays(trying),
    ]);
    expect(requests.atOnce).toBe(REQUESTS.burst * 1.5);
    expect(requests.later).toBeGreaterThan(1.5 * REQUESTS.perSecond * requests.seconds);
    expect(mentions.later).toBeGreaterThan(1.5 * MENTIONS.perSecond * mentions.seconds);
    expect(replays.bytes).toBeGreaterThan(
      1.1 * (REPLAY.burst + REPLAY.perSecond * replays.seconds + HISTORY.bytes),
    );
    const metrics = await trying.metrics();
    for (const limit of ['requests', 'mentions', 'replay']) {
      const beyond = { limit, enforced: 'false' };
      expect(metrics.sum('tradewind_edge_limited_total', beyond), limit).toBeGreaterThan(0);
    }
  });
});

describe('a client that ignores its limits', () => {
  it('gets its answers, errors with its ids, and the code of the close, in this order', async () => {
    const client = await TestClient.connect(enforcing().wsUrl);
    const ids = Array.from({ length: 600 }, () => client.request({ type: 'ping' }));
    expect(await client.closed).toEqual({ code: 4029, reason: 'rate_limited' });
    const pongs = client.controlsOf('pong').map(({ id }) => id);
    const errors = client.controlsOf('error');
    expect(pongs.slice(0, REQUESTS.burst)).toEqual(ids.slice(0, REQUESTS.burst));
    expect(errors.length).toBeGreaterThanOrEqual(200);
    expect(errors[0]).toMatchObject({ id: expect.any(Number), code: 'rate_limited' });
    expect(new Set([...pongs, ...errors.map(({ id }) => id)]).size).toBe(
      pongs.length + errors.length,
    );
  });

  it('is closed at its twentieth mistake, but not if budgets only report', async () => {
    const client = await TestClient.connect(enforcing().wsUrl);
    await using tried = await TestClient.connect(trying.wsUrl);
    for (let i = 0; i < 30; i += 1) {
      client.sendText('{');
      tried.sendText('{');
    }
    expect(await client.closed).toEqual({ code: 4029, reason: 'rate_limited' });
    expect(client.controlsOf('error').map(({ code }) => code)).toEqual(Array(20).fill('bad_json'));
    await tried.ping();
    expect(tried.controlsOf('error')).toHaveLength(30);
  });
});

describe('a node that is full of invented names', () => {
  const CLIENTS = 4;
  const EACH = 40;

  it('accepts a channel of a client that holds few, and refuses one of a client that holds many', async () => {
    const invaders = await Promise.all(
      Array.from({ length: CLIENTS }, () => TestClient.connect(enforcing().wsUrl)),
    );
    for (const [at, invader] of invaders.entries()) {
      await invader.subscribe(Array.from({ length: EACH }, (_, i) => `invented${at}.${i}`));
    }
    await using client = await TestClient.connect(enforcing().wsUrl, { channels: ['BTC.trade'] });
    await tier.backend.publish('BTC.trade', '"1"');
    await client.waitFor(() => client.publications.length === 1);

    const given = invaders.flatMap((invader) => invader.controlsOf('unsubscribed'));
    expect(given.length).toBeGreaterThan(0);
    for (const { reason } of given) expect(reason).toBe('node_channels_full');
    const [last] = invaders.slice(-1) as [TestClient];
    await last.unsubscribe(['invented3.0']);
    await using late = await TestClient.connect(enforcing().wsUrl, { channels: ['ETH.trade'] });
    // The control: the node is full for a client that holds as many as the others.
    let asked = 0;
    await eventually(async () => {
      asked += 1;
      const { rejected } = await last.subscribe([`more.${asked}`]);
      return rejected[0]?.code === 'node_channels_full';
    });
    expect(client.controlsOf('unsubscribed')).toEqual([]);
    expect(late.controlsOf('unsubscribed')).toEqual([]);
    for (const invader of invaders) await invader[Symbol.asyncDispose]();
  });
});
