import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { expectRate, OFFERED_MS, offer, TIMES } from '../../support/clients/offered.ts';
import { type ServiceEnvironment, startIngest } from '../../support/services/service.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const TIMEOUT_MS = 30_000 + 2 * OFFERED_MS;

/** Settings without limits for a single client. */
const OPEN: ServiceEnvironment = {
  EDGE_SUBSCRIBE_RATE: '100000',
  EDGE_MAX_CHANNELS_PER_CLIENT: '65536',
  EDGE_REPLAY_RATE_BYTES: '1073741824',
  EDGE_REPLAY_BURST_BYTES: '1073741824',
  EDGE_LINGER_MS: '0',
};

const REPORT: ServiceEnvironment = { EDGE_LIMITS: 'report' };

/** New channels a second of a node; twice as many at once. */
const SUBSCRIBES = { perSecond: 100, burst: 200, aRequest: 15 };

/** Requests new channels three times as fast as a node may subscribe to them. */
async function offerSubscribes(tier: Tier) {
  await using client = await TestClient.connect(tier.edges[0]!.wsUrl);
  const names = (n: number, count: number) => Array.from({ length: count }, (_, i) => `n${n}.${i}`);
  const half = SUBSCRIBES.burst * 0.6;
  const firsts = [client.subscribe(names(-1, half)), client.subscribe(names(-2, half))];
  const atOnce = (await Promise.all(firsts)).flatMap(({ channels }) => channels).length;
  const begun = performance.now();
  const answers: Promise<number>[] = [];
  const { perSecond, aRequest } = SUBSCRIBES;
  await offer((perSecond * TIMES) / aRequest, (n) =>
    answers.push(client.subscribe(names(n, aRequest)).then(({ channels }) => channels.length)),
  );
  const offeredMs = performance.now() - begun;
  const later = (await Promise.all(answers)).reduce((sum, count) => sum + count, 0);
  const ms = performance.now() - begun;
  return { atOnce, later, offered: answers.length * aRequest, offeredMs, ms };
}

it.concurrent(
  'a node subscribes to new channels at its rate, and the burst once',
  async () => {
    const env = { ...OPEN, EDGE_NODE_SUBSCRIBE_RATE: String(SUBSCRIBES.perSecond) };
    await using tier = await startTier({ edges: 1, env });
    const { atOnce, later, offered, offeredMs, ms } = await offerSubscribes(tier);
    console.log(`node_subscribes: ${atOnce} at once, ${later} of ${offered} in ${ms | 0} ms`);
    expect(atOnce).toBeGreaterThanOrEqual(SUBSCRIBES.burst);
    expect(atOnce).toBeLessThanOrEqual(SUBSCRIBES.burst * 1.1);
    const allowedIn = (time: number) => (time / 1_000) * SUBSCRIBES.perSecond;
    expectRate(later, allowedIn(ms), SUBSCRIBES.aRequest, allowedIn(offeredMs));

    await using open = await startTier({ edges: 1, env: { ...env, ...REPORT } });
    const control = await offerSubscribes(open);
    expect(control.later, 'control: if it is only reported').toBe(control.offered);
  },
  TIMEOUT_MS,
);

/** Bytes of history a second that Redis sends a node; twice as many at once. */
const HISTORY_READS = { perSecond: 65_536, burst: 131_072 };
const READ = { publications: 40, bytes: 40_000, clients: 6 };

/** Makes clients request, repeatedly, histories that no worker has in memory. */
async function offerHistoryReads(tier: Tier) {
  const { backend } = tier;
  const [edge] = tier.edges as [(typeof tier.edges)[number]];
  const payload = JSON.stringify('x'.repeat(READ.bytes / READ.publications));
  const channels = Array.from({ length: READ.clients }, (_, i) => `h${i}`);
  for (const channel of channels) {
    await backend.set(`{${channel}}:meta`, `abc:${READ.publications}`);
    for (let i = 1; i <= READ.publications; i += 1) {
      await backend.xadd(`{${channel}}:log`, `${i}-0`, 't', '1', 'p', payload);
    }
  }
  const bytes = async () =>
    (await edge.metrics()).sum('tradewind_edge_history_read_bytes_total') ?? 0;
  const begun = performance.now();
  let reads = 0;
  const longestMs = await Promise.all(
    channels.map(async (channel) => {
      await using client = await TestClient.connect(edge.wsUrl);
      let longest = 0;
      while (performance.now() - begun < OFFERED_MS) {
        const askedAt = performance.now();
        reads += 1;
        await client.subscribe([{ channel, history: 1_000 }]);
        longest = Math.max(longest, performance.now() - askedAt);
        await client.unsubscribe([channel]);
      }
      return longest;
    }),
  );
  const ms = performance.now() - begun;
  return { bytes: await bytes(), reads, ms, longestMs: Math.max(...longestMs) };
}

it.concurrent(
  'Redis sends a node history at its rate, and the burst once; clients that wait are answered in time',
  async () => {
    const rate = String(HISTORY_READS.perSecond);
    const env = { ...OPEN, EDGE_HISTORY_READ_BYTES_PER_SECOND: rate, EDGE_REQUEST_RATE: '10000' };
    await using tier = await startTier({ edges: 1, env });
    const { bytes, reads, ms, longestMs } = await offerHistoryReads(tier);
    console.log(
      `history_reads: ${bytes} bytes in ${ms | 0} ms, asked ${reads} times, ${longestMs | 0} ms at the longest`,
    );
    // A read that has begun is finished, even if the budget was nearly used up.
    const { perSecond, burst } = HISTORY_READS;
    expectRate(bytes, burst + (ms / 1_000) * perSecond, 2 * READ.bytes);
    // It waits for 5 s at the longest.
    expect(longestMs).toBeLessThan(5_000 + BUSY_MACHINE_MS);

    await using open = await startTier({ edges: 1, env: { ...env, ...REPORT } });
    const control = await offerHistoryReads(open);
    expect(control.bytes, 'control: if it is only reported').toBeGreaterThan(TIMES * bytes);
  },
  TIMEOUT_MS,
);

/** Publications a second of an ingest, and as many at once. */
const PUBLICATIONS = 100;

it.concurrent(
  'an ingest accepts publications at its rate, and the burst once',
  async () => {
    await using tier = await startTier({ edges: 1 });
    const offerPublications = async (perSecond: number) => {
      await using ingest = await startIngest({
        REDIS_URL: tier.redis.url,
        INGEST_PUBLICATIONS_PER_SECOND: String(perSecond),
        INGEST_MAX_ITEMS: String(PUBLICATIONS),
      });
      await eventually(async () => (await fetch(`${ingest.url}/readyz`)).ok);
      const post = async () => {
        const url = `${ingest.url}/v1/channels/BTC.trade`;
        const answer = await fetch(url, { method: 'POST', body: '1' });
        await answer.arrayBuffer();
        return answer.status;
      };
      const countOf = (statuses: readonly number[]) =>
        statuses.filter((status) => status === 200).length;
      const firsts: number[] = [];
      const begunAt = performance.now();
      for (let n = 0; n < PUBLICATIONS * 1.2; n += 1) firsts.push(await post());
      const firstMs = performance.now() - begunAt;
      const begun = performance.now();
      const answers: Promise<number>[] = [];
      await offer(PUBLICATIONS * TIMES, () => answers.push(post()));
      const offeredMs = performance.now() - begun;
      const statuses = await Promise.all(answers);
      const ms = performance.now() - begun;
      const [atOnce, later] = [countOf(firsts), countOf(statuses)];
      return { atOnce, firstMs, later, statuses, offeredMs, ms };
    };
    const { atOnce, firstMs, later, statuses, offeredMs, ms } =
      await offerPublications(PUBLICATIONS);
    console.log(
      `publications: ${atOnce} in ${firstMs | 0} ms, then ${later} of ${statuses.length} in ${ms | 0} ms`,
    );
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    const allowedIn = (time: number) => PUBLICATIONS + ((firstMs + time) / 1_000) * PUBLICATIONS;
    expect(atOnce).toBeGreaterThanOrEqual(PUBLICATIONS);
    // What a busy machine offered too slowly at first was not refused: the burst is full again, and no more than full.
    const least = atOnce + (offeredMs / 1_000) * PUBLICATIONS;
    expectRate(atOnce + later, allowedIn(ms), 2, least);

    const control = await offerPublications(1_000_000);
    expect(control.later, 'control: with a higher limit').toBe(control.statuses.length);
  },
  TIMEOUT_MS,
);
