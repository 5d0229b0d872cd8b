import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Load } from '../../../bench/load/clients/load.ts';
import { startPublisher } from '../../../bench/load/publishing/publisher.ts';
import { TestClient } from '../../support/clients/client.ts';
import {
  gapsOn,
  lastAccountedFor,
  type NumberedPublications,
  publishNumbered,
} from '../../support/clients/numbered-publications.ts';
import { connectReaders } from '../../support/clients/readers.ts';
import { freezeWorker, INSPECTABLE, socketsOfWorkers } from '../../support/services/inspector.ts';
import type { TestEdge } from '../../support/services/service.ts';
import { IS_LONG } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

const WORKERS = 3;
const CLIENTS = 30;
/**
 * A small number, so that much crosses to each worker and little leaves it again. All of them are on one worker in one
 * of 177,147 runs.
 */
const READERS = 12;
const CHANNEL = 'BTC.trade';
const BULK_CHANNEL = 'BULK';
const MIB = 2 ** 20;

/** Bytes that the hub holds at most for one worker that falls behind. */
const WORKER_BACKLOG_BYTES = 16 * MIB;

/**
 * 16 MiB a second. Ten seconds of it without a bound are larger than any normal heap, and a worker that merely lost its
 * core for half a second stays far below the bound.
 */
const BULK = { ratePerSecond: 400, payloadBytes: 40 * 1024 };

/**
 * Allowed growth besides the backlog, in bytes: the heaps of four threads between their collections. 50 MiB were seen.
 * Without a bound on the backlog the node grew by 158 MiB.
 */
const MEMORY_SLACK_BYTES = 96 * MIB;

/**
 * The least share of their earlier rate that the other workers must deliver during the freeze. If they waited for the
 * frozen one, nobody would deliver anything until it continues.
 */
const LEAST_SHARE = 0.25;

/** How long a freshly started edge takes to reach its usual speed and size, in ms. */
const WARM_UP_MS = 2_000;

/** How long latencies are measured before the freeze, in ms. */
const BASELINE_MS = 3_000;

/** The end of a freeze that is not measured, in ms, because it may end a little early or late. */
const MARGIN_MS = 1_000;

let tier: Tier;
let edge: TestEdge;
let clients: readonly TestClient[];
let numbered: NumberedPublications;

beforeEach(async () => {
  tier = await startTier({
    edges: 1,
    env: {
      ...INSPECTABLE,
      EDGE_WORKERS: String(WORKERS),
      // The memory that workers keep for slow clients has its own bound, and would grow while one of them is frozen.
      EDGE_RING_BYTES: '0',
      // The counted sockets must be those of clients, not of readiness requests.
      HTTP_KEEP_ALIVE_SECONDS: '1',
    },
  });
  edge = tier.edges[0]!;
  clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => TestClient.connect(edge.wsUrl, { channels: [CHANNEL] })),
  );
  numbered = publishNumbered(tier.backend, CHANNEL, 5);
});

afterEach(async () => {
  await numbered?.stop();
  await tier?.[Symbol.asyncDispose]();
});

/** When a freeze was requested, and when the worker continued; ms since the Unix epoch. */
interface Freeze {
  readonly askedAt: number;
  readonly endedAt: number;
}

async function freeze(worker: number, ms: number): Promise<Freeze> {
  const askedAt = Date.now();
  await freezeWorker(edge, worker, ms);
  return { askedAt, endedAt: Date.now() };
}

/** Returns the clients of the frozen worker: those that received nothing in the middle of the freeze. */
function frozenIn({ askedAt, endedAt }: Freeze): ReadonlySet<TestClient> {
  const isWithin = (time: number): boolean =>
    time > askedAt + MARGIN_MS && time < endedAt - MARGIN_MS;
  const silent = clients.filter(
    ({ publications }) => !publications.some(({ receivedAt }) => isWithin(receivedAt)),
  );
  return new Set(silent);
}

/** Returns the sockets of each worker, once all `total` clients and no others are connected. */
async function settledSockets(total: number): Promise<readonly number[]> {
  return await eventually(async () => {
    const each = await socketsOfWorkers(edge);
    expect(each.reduce((sum, count) => sum + count)).toBe(total);
    return each;
  });
}

/** Whether a client got a gap notice and publications after it. */
function isFollowedUp(client: TestClient): boolean {
  const [gap] = gapsOn(client, CHANNEL);
  const last = client.publications.at(-1);
  return gap !== undefined && last !== undefined && last.index > gap.index;
}

/** Counts the publications that readers receive over the next `ms`, for each second. */
async function receivedPerSecond(load: Load, ms: number): Promise<number> {
  const { publications: before } = await load.sample();
  const startedAt = performance.now();
  await sleep(ms);
  const { publications } = await load.sample();
  return (publications - before) / ((performance.now() - startedAt) / 1_000);
}

/** The highest resident memory of the edge over the next `ms`, in bytes. */
async function peakMemory(ms: number): Promise<number> {
  const until = performance.now() + ms;
  let peak = 0;
  while (performance.now() < until) {
    peak = Math.max(peak, (await edge.metrics()).sum('ws_total_memory_bytes') ?? 0);
    await sleep(100);
  }
  return peak;
}

it('lets a worker that was frozen for a while catch up with everything; the others are not delayed', async () => {
  const FROZEN_MS = 4_000;
  const frozen = frozenIn(await freeze(0, FROZEN_MS));
  expect(frozen.size).toBeGreaterThan(0);
  expect(frozen.size).toBeLessThan(clients.length);
  const published = await numbered.stop();
  for (const client of clients) {
    await client.waitFor(() => client.publications.length === published);
    expect(client.publications.every(({ seq }, i) => seq === i + 1)).toBe(true);
    const lag = Math.max(...client.publications.map(({ ts, receivedAt }) => receivedAt - ts));
    if (frozen.has(client)) expect(lag).toBeGreaterThan(FROZEN_MS - MARGIN_MS);
    else expect(lag).toBeLessThan(FROZEN_MS / 2);
  }
});

// The missed bytes must exceed any normal heap, and publishing that much takes ten seconds.
it.runIf(IS_LONG)(
  'bounds what it keeps for a worker that is frozen for long, and reports the exact rest to its clients',
  async () => {
    const FROZEN_MS = 10_000;
    const clientsOf = await settledSockets(CLIENTS);
    await using readers = await connectReaders(edge, {
      connections: READERS,
      channels: [BULK_CHANNEL],
      mode: 'single',
    });
    const socketsOf = await settledSockets(CLIENTS + READERS);
    const readersOf = socketsOf.map((sockets, worker) => sockets - clientsOf[worker]!);
    const frozenReaders = Math.max(...readersOf);
    const frozenWorker = readersOf.indexOf(frozenReaders);
    expect(frozenReaders).toBeLessThan(READERS);
    await using publisher = await startPublisher({
      redisUrl: tier.redis.url,
      channels: [BULK_CHANNEL],
      core: undefined,
    });
    await readers.mark();
    await publisher.start(BULK);
    await sleep(WARM_UP_MS);
    const [memoryBefore, rateBefore] = await Promise.all([
      peakMemory(BASELINE_MS),
      receivedPerSecond(readers, BASELINE_MS),
    ]);

    const freezing = freeze(frozenWorker, FROZEN_MS);
    const [memoryFrozen, rateFrozen] = await Promise.all([
      peakMemory(FROZEN_MS - MARGIN_MS),
      receivedPerSecond(readers, FROZEN_MS - MARGIN_MS),
    ]);
    const frozen = frozenIn(await freezing);
    expect(frozen.size).toBeGreaterThan(0);
    for (const client of frozen) await client.waitFor(() => isFollowedUp(client));
    const { published } = await publisher.stop();
    const publishedNumbers = await numbered.stop();

    const inMib = (bytes: number): number => Math.round(bytes / MIB);
    console.log(
      `frozen for ${FROZEN_MS} ms: the node had ${inMib(memoryBefore)} MiB at most before and ${inMib(memoryFrozen)} ` +
        `meanwhile; ${Math.round(rateBefore)} publications a second to all, and ${Math.round(rateFrozen)} to the others`,
    );
    expect(memoryFrozen).toBeLessThan(memoryBefore + WORKER_BACKLOG_BYTES + MEMORY_SLACK_BYTES);
    const rateOfOthersBefore = rateBefore * ((READERS - frozenReaders) / READERS);
    expect(rateFrozen).toBeGreaterThan(rateOfOthersBefore * LEAST_SHARE);

    for (const client of clients) {
      await client.waitFor(() => lastAccountedFor(client, CHANNEL) === publishedNumbers);
      expect(client.isOpen).toBe(true);
      const gaps = gapsOn(client, CHANNEL);
      if (frozen.has(client)) expect(gaps.length).toBeGreaterThan(0);
      else expect(gaps).toEqual([]);
    }

    const { steady } = await eventually(async () => {
      const verdict = await readers.verdict(published);
      expect(verdict.steady.exact + verdict.steady.told).toBe(READERS);
      return verdict;
    });
    expect(steady).toMatchObject({ ended: 0, over: 0, disordered: 0, told: frozenReaders });
    const lostBytes = ((steady.expected - steady.received) / frozenReaders) * BULK.payloadBytes;
    // If they had been kept for the worker, the bound on memory would have been exceeded.
    expect(lostBytes).toBeGreaterThan(WORKER_BACKLOG_BYTES + MEMORY_SLACK_BYTES);
  },
);
