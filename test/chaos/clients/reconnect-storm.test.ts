import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { expectToFail } from '../oracle/expect-complaints.ts';
import { Scenario } from '../scenario/scenario.ts';

const EDGES = 2;
const CLIENTS = 5_000;

/** Clients that connect at the same time at the beginning. */
const BATCH = 500;
const JITTER_MS = 5_000;
const FULL_SERVICE_MS = 60_000;
const CHANNELS = Array.from({ length: 100 }, (_, i) => `storm.${i}`);

/** How late an edge’s timers may be in the storm, at the 99th percentile, in s; clients use its core, too. */
const LAG_P99_SECONDS = 0.25;

it('B8: 5,000 clients are dropped at once and are back within a minute, with nothing missing', async () => {
  await using scenario = await Scenario.start({ edges: 0 });
  // Without a proxy, which shares a thread with the clients, and would be as busy as they are.
  for (let i = 0; i < EDGES; i += 1) await scenario.startEdge({ REDIS_URL: scenario.redis.url });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 50 });
  await scenario.until(() => publisher.acknowledged > CHANNELS.length, 'all channels have begun');
  const channels = (index: number): string[] => [CHANNELS[index % CHANNELS.length]!];
  for (let i = 0; i < CLIENTS; i += BATCH)
    await scenario.connect({ channels, count: BATCH, jitterMs: JITTER_MS });
  using monitor = await scenario.redis.monitor();
  // The lag is the one since the last reading.
  const lags = (): Promise<number[]> =>
    Promise.all(
      scenario.edges.map(
        async (edge) => (await edge.metrics()).sum('tradewind_edge_event_loop_lag_p99_seconds')!,
      ),
    );
  await lags();
  for (const client of scenario.clients) client.drop();
  const gone = (): boolean => scenario.clients.every(({ failures }) => failures > 0);
  await scenario.until(gone, 'the control: all are really gone');
  const back = (): boolean => scenario.clients.every(({ live }) => live);
  await scenario.until(back, 'all are back', FULL_SERVICE_MS);
  expect(Math.max(...(await lags()))).toBeLessThan(LAG_P99_SECONDS);
  await publisher.stop();
  // Each edge subscribes again to the channels that it gave up meanwhile; the probes do not count.
  const subscribes = monitor.commands.filter(
    ([name = '', channel = '']) => /^subscribe$/i.test(name) && !channel.startsWith('tw:'),
  );
  expect(subscribes.length).toBeLessThan(CHANNELS.length * EDGES);
  await scenario.verify();
  expect(scenario.count('recovered')).toBe(CLIENTS);
});

/** The limit of an edge's clients. The same number of others connects at once, without jitter. */
const MOST = 50;
const CROWD = 200;

interface Attempt {
  readonly accepted: boolean;
  readonly status: number | undefined;
  readonly retryAfter: string | undefined;
}

/** Connects once, and returns the outcome. The scenario ends accepted connections. */
async function attempt(scenario: Scenario): Promise<Attempt> {
  const socket = new WebSocket(scenario.urls[0]!, { perMessageDeflate: false });
  scenario.use({ [Symbol.dispose]: () => socket.terminate() });
  socket.on('error', () => {});
  const { promise, resolve } = Promise.withResolvers<Attempt>();
  socket.once('open', () => resolve({ accepted: true, status: 101, retryAfter: undefined }));
  socket.once('unexpected-response', (_request, { statusCode, headers }) => {
    resolve({ accepted: false, status: statusCode, retryAfter: headers['retry-after'] });
    socket.terminate();
  });
  socket.once('close', () =>
    resolve({ accepted: false, status: undefined, retryAfter: undefined }),
  );
  return await promise;
}

/** A crowd connects to an edge that is almost full; returns the outcome of each. */
async function crowd(scenario: Scenario): Promise<readonly Attempt[]> {
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 200 });
  await scenario.until(() => publisher.acknowledged > CHANNELS.length, 'all channels have begun');
  await scenario.connect({ channels: CHANNELS, count: MOST });
  const attempts = await Promise.all(Array.from({ length: CROWD }, () => attempt(scenario)));
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 200, 'trades continue');
  await publisher.stop();
  return attempts;
}

/** Throws unless all of a crowd were refused with a time to retry. */
function expectTurnedAway(attempts: readonly Attempt[]): void {
  for (const each of attempts) {
    expect(each).toMatchObject({ accepted: false, status: 503 });
    expect(Number(each.retryAfter)).toBeGreaterThan(0);
  }
}

it('B9: a full edge refuses a crowd with 503 and a time to retry, and its clients notice nothing', async () => {
  await using scenario = await Scenario.start({ env: { WS_MAX_CONNECTIONS: String(MOST) } });
  expectTurnedAway(await crowd(scenario));
  expect(scenario.count('connections')).toBe(MOST);
  await scenario.verify();

  // They have left, so there is room again.
  const [edge] = scenario.edges;
  const isEmpty = async (): Promise<boolean> =>
    (await edge!.metrics()).sum('tradewind_edge_connections') === 0;
  await scenario.until(isEmpty, 'the places are free');
  expect(await attempt(scenario)).toMatchObject({ accepted: true });
});

it('B9, control: an edge with room takes them all in', async () => {
  await using scenario = await Scenario.start();
  const attempts = await crowd(scenario);
  await expectToFail(() => expectTurnedAway(attempts));
  expect(attempts.every(({ accepted }) => accepted)).toBe(true);
});
