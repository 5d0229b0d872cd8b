import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { logKey, readHeader } from '@tradewind/bus';
import type { Redis } from 'ioredis';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  connectBackend,
  IS_CLUSTER,
  serviceEnv,
  startReceiver,
} from '../../support/redis/redis-mode.ts';
import { redisOfEachTest } from '../../support/redis/redis-of-each-test.ts';
import { startIngest, untilLinked } from '../../support/services/service.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';

const CHANNEL = 'ETH.trade';
const HISTORY = { INGEST_HISTORY_SIZE: '100000' };

/** How long Redis is away, in ms: at least twice as long as a trade may wait. */
const AWAY_MS = shortOrLong(4_000, 10_000);

/**
 * The largest difference between the clocks of a machine and of its Redis, in ms: rounding only, because they are the
 * same clock.
 */
const ROUNDING_MS = 2;

type TestIngest = Awaited<ReturnType<typeof startIngest>>;

/** An entry of the channel's history. */
interface Entry {
  readonly offset: number;
  /** Redis' clock, in ms since 1970. */
  readonly at: number;
  readonly id: number;
}

/** The outcome of one request. */
interface Attempt {
  readonly id: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: {
    readonly results?: readonly {
      readonly offset?: number;
      readonly duplicate?: boolean;
      readonly outcome?: string;
    }[];
    readonly error?: { readonly code: string; readonly retryable: boolean };
  };
}

const folder = mkdtempSync(join(tmpdir(), 'ingest-sequenced-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// A key is remembered as long as Redis keeps its data, so this Redis keeps it through a crash.
const redis = redisOfEachTest(() => ({
  kind: 'process',
  args: [
    ...['--appendonly', 'yes', '--appendfsync', 'everysec'],
    // Each node of a cluster has a folder of its own.
    ...(IS_CLUSTER ? [] : ['--dir', mkdtempSync(join(folder, 'redis-'))]),
  ],
}));

describe('a Redis that is away', () => {
  it('for longer than trades may wait loses no trade and doubles none, if callers repeat failed requests', async () => {
    await using ingest = await start({ INGEST_MAX_AGE_MS: '2000', INGEST_QUEUE_ITEMS: '1000' });
    const live = await subscribe();
    // All requests during the outage fail and are repeated: more than 1,024 callers could not connect.
    const callers = startCallers(ingest, { perSecond: 70, repeat: true });
    await eventually(() => callers.accepted.size > 100);

    await redis.current.kill();
    const diedAt = Date.now();
    let mostQueued = 0;
    const refused = () => callers.attempts.filter(({ status }) => status !== 200).length;
    // On a busy machine fewer requests arrive in that time, so it continues until the queue is full.
    const hasBeenFelt = () => mostQueued > 50 && refused() > 100;
    while (Date.now() < diedAt + AWAY_MS || (!hasBeenFelt() && Date.now() < diedAt + 30_000)) {
      const metrics = await ingest.metrics();
      mostQueued = Math.max(mostQueued, metrics.sum('tradewind_ingest_queue_publications') ?? 0);
      await sleep(100);
    }
    await redis.current.restart();
    const backAt = Date.now();
    await eventually(() => callers.lastAcceptedAt() > backAt + 1_000, { deadlineMs: 30_000 });
    await callers.stop();

    const log = await history();
    expectOnceEach(log, callers.sent);
    expectToBelongTo(live, log);
    expectInTime(log, callers.attempts, 2_000);
    expect(mostQueued).toBeGreaterThan(50);
    expect(mostQueued).toBeLessThanOrEqual(1_000);

    const failed = callers.attempts.filter(({ status }) => status !== 200);
    expect(failed.length).toBeGreaterThan(100);
    for (const { status, retryAfter, body } of failed) {
      expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: '1' });
      // Too late: its time ended between ingest and Redis.
      expect(['unavailable', 'too_late']).toContain(body.error?.code);
    }
    const metrics = await ingest.metrics();
    const sum = (name: string) => metrics.sum(`tradewind_ingest_${name}_total`) ?? 0;
    const duplicates = callers.attempts.filter(({ body }) => body.results?.[0]?.duplicate).length;
    expect(sum('publications')).toBe(callers.sent - duplicates);
    expect(sum('duplicates')).toBe(duplicates);
    expect(sum('publications_failed')).toBe(failed.length);
    expect(sum('expired')).toBe(failed.length);
  });

  it('for as long as the queue has room for costs a caller nothing but time', async () => {
    await using ingest = await start({ INGEST_MAX_AGE_MS: '20000' });
    const callers = startCallers(ingest, { perSecond: 100, repeat: false });
    await eventually(() => callers.accepted.size > 50);
    await redis.current.kill();
    await sleep(2_000);
    await redis.current.restart();
    const backAt = Date.now();
    await eventually(() => callers.lastAcceptedAt() > backAt + 500, { deadlineMs: 30_000 });
    await callers.stop();
    expect(new Set(callers.attempts.map(({ status }) => status))).toEqual(new Set([200]));
    expectOnceEach(await history(), callers.sent);
  });

  it('refuses publications for which the queue has no room', async () => {
    await using ingest = await start({
      INGEST_MAX_AGE_MS: '3000',
      INGEST_MAX_ITEMS: '20',
      INGEST_QUEUE_ITEMS: '20',
    });
    await redis.current.kill();
    const attempts = await Promise.all(range(200).map((id) => post(ingest, id)));
    const metrics = await ingest.metrics();
    // One shard takes half of the queue of a cluster at most.
    const held = IS_CLUSTER ? 10 : 20;
    expect(metrics.sum('tradewind_ingest_queue_full_total')).toBe(200 - held);
    expect(metrics.sum('tradewind_ingest_expired_total')).toBe(held);
    expect(new Set(attempts.map(({ status }) => status))).toEqual(new Set([503]));
    expect(metrics.sum('tradewind_ingest_queue_publications')).toBe(0);
    await redis.current.restart();
    await untilLinked(ingest);
    expect(await history()).toEqual([]);
  });
});

describe('a Redis that is frozen', () => {
  it('executes nothing that is too old after it thaws, and answers for the rest are true', async () => {
    await using ingest = await start({ INGEST_MAX_AGE_MS: '1000' });
    const callers = startCallers(ingest, { perSecond: 100, repeat: false });
    await freeze(callers, 4_000);
    const log = await history();
    expectInTime(log, callers.attempts, 1_000);
    const published = new Set(log.map(({ id }) => id));
    expect(published.size).toBe(log.length);
    for (const { id, status, body } of callers.attempts) {
      const isDoubted = body.results?.[0]?.outcome === 'unknown';
      if (!isDoubted) expect(published.has(id)).toBe(status === 200);
    }
    expect(callers.attempts.some(({ status }) => status === 503)).toBe(true);
  });

  it('would execute it all without the limit', async () => {
    await using ingest = await start({ INGEST_MAX_AGE_MS: '0' });
    const callers = startCallers(ingest, { perSecond: 100, repeat: false });
    await freeze(callers, 4_000);
    const oldest = Math.max(...agesOf(await history(), callers.attempts));
    expect(oldest).toBeGreaterThan(2_000);
  });

  it('doubles nothing, if callers repeat failed requests', async () => {
    await using ingest = await start({ INGEST_MAX_AGE_MS: '1000' });
    const live = await subscribe();
    const callers = startCallers(ingest, { perSecond: 100, repeat: true });
    await freeze(callers, 4_000);
    const log = await history();
    expectOnceEach(log, callers.sent);
    expectToBelongTo(live, log);
    expectInTime(log, callers.attempts, 1_000);
  });
});

describe('one trade', () => {
  it('posted a hundred times at once is one publication', async () => {
    await using ingest = await start();
    const live = await subscribe();
    const attempts = await Promise.all(range(100).map(() => post(ingest, 7)));
    const results = attempts.map(({ body }) => body.results?.[0]);
    expect(new Set(attempts.map(({ status }) => status))).toEqual(new Set([200]));
    expect(results.filter((result) => result?.duplicate === false)).toHaveLength(1);
    expect(new Set(results.map((result) => result?.offset))).toEqual(new Set([1]));
    const log = await history();
    expect(log.map(({ id }) => id)).toEqual([7]);
    await eventually(() => live.length === 1);
    const metrics = await ingest.metrics();
    expect(metrics.sum('tradewind_ingest_publications_total')).toBe(1);
    expect(metrics.sum('tradewind_ingest_duplicates_total')).toBe(99);
  });

  it('is published each time if keys are switched off', async () => {
    await using ingest = await start({ INGEST_IDEMPOTENCY_SECONDS: '0' });
    await Promise.all(range(10).map(() => post(ingest, 7)));
    expect((await history()).map(({ id }) => id)).toEqual(range(10).map(() => 7));
  });

  it('is published twice if an answer is lost, keys are switched off, and its caller repeats it', async () => {
    await using ingest = await start({
      INGEST_IDEMPOTENCY_SECONDS: '0',
      INGEST_MAX_AGE_MS: '10000',
    });
    const callers = startCallers(ingest, { perSecond: 100, repeat: true });
    await freeze(callers, 4_000);
    const ids = (await history()).map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(new Set(ids).size);
  });
});

describe('a Redis that is full', () => {
  it('is reported as full, and nobody waits for it', async () => {
    await using ingest = await start({ INGEST_MAX_AGE_MS: '60000' });
    const admin = connect();
    await admin.config('SET', 'maxmemory', '1');
    const attempt = await post(ingest, 1);
    expect(attempt).toMatchObject({
      status: 503,
      retryAfter: '1',
      body: { error: { code: 'storage_full', retryable: true } },
    });
    await admin.config('SET', 'maxmemory', '0');
    expect((await post(ingest, 1)).body.results?.[0]).toMatchObject({
      offset: 1,
      duplicate: false,
    });
  });
});

describe('a Redis that was demoted', () => {
  it('delays publications until it accepts writes', async ({ skip }) => {
    skip(
      IS_CLUSTER,
      'REPLICAOF is not allowed on a node of a cluster; test/chaos has its failovers',
    );
    await using ingest = await start({ INGEST_MAX_AGE_MS: '30000' });
    const admin = connect();
    await admin.replicaof('127.0.0.1', '1');
    const waiting = range(3).map((id) => post(ingest, id));
    await eventually(async () => {
      const retried = (await ingest.metrics()).sum('tradewind_ingest_retried_total') ?? 0;
      return retried > 2;
    });
    await admin.replicaof('NO', 'ONE');
    const attempts = await Promise.all(waiting);
    expect(attempts.map(({ status }) => status)).toEqual([200, 200, 200]);
    expectOnceEach(await history(), 3);
  });
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<TestIngest> {
  const ingest = await startIngest({ ...serviceEnv(redis.current), ...HISTORY, ...env });
  await untilLinked(ingest);
  return ingest;
}

function connect(): Redis {
  const client = connectBackend(redis.current);
  onTestFinished(() => client.disconnect());
  return client;
}

/** Records what a subscriber receives that reconnects by itself, and receives nothing while it is away. */
async function subscribe(): Promise<readonly Entry[]> {
  const heard: Entry[] = [];
  const subscriber = await startReceiver(redis.current, CHANNEL, (payload) => {
    const header = readHeader(payload);
    if (header.kind !== 'sequenced') throw new Error('a publication without a header');
    const { id } = JSON.parse(payload.toString('utf8', header.payloadAt)) as { id: number };
    heard.push({ offset: header.offset, at: header.publishedAt, id });
  });
  onTestFinished(() => subscriber.disconnect());
  return heard;
}

async function history(): Promise<readonly Entry[]> {
  const client = connect();
  const entries = await client.xrange(logKey(CHANNEL), '-', '+');
  return entries.map(([id, fields]) => {
    const values = new Map(range(fields.length / 2).map((n) => [fields[2 * n], fields[2 * n + 1]]));
    return {
      offset: Number(id.split('-')[0]),
      at: Number(values.get('t')),
      id: (JSON.parse(values.get('p') ?? '') as { id: number }).id,
    };
  });
}

async function post(ingest: TestIngest, id: number): Promise<Attempt> {
  const startedAt = Date.now();
  const trade = { symbol: 'ETH', id, ts: startedAt, side: 'buy', price: '1666.80', size: '0.10' };
  const response = await fetch(`${ingest.url}/v1/trades`, {
    method: 'POST',
    body: JSON.stringify(trade),
  });
  const body = (await response.json()) as Attempt['body'];
  return {
    id,
    startedAt,
    endedAt: Date.now(),
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body,
  };
}

/** Starts callers that post trades numbered from 0. Each repeats its own until it is accepted, or does not repeat. */
function startCallers(
  ingest: TestIngest,
  options: { readonly perSecond: number; readonly repeat: boolean },
) {
  const attempts: Attempt[] = [];
  const accepted = new Set<number>();
  const calls: Promise<void>[] = [];
  let lastAcceptedAt = 0;

  async function call(id: number): Promise<void> {
    for (;;) {
      const attempt = await post(ingest, id);
      attempts.push(attempt);
      if (attempt.status === 200) {
        accepted.add(id);
        lastAcceptedAt = Date.now();
        return;
      }
      if (!options.repeat) return;
      await sleep(200);
    }
  }
  const timer = setInterval(() => calls.push(call(calls.length)), 1_000 / options.perSecond);
  onTestFinished(() => clearInterval(timer));
  return {
    attempts,
    accepted,
    get sent() {
      return calls.length;
    },
    lastAcceptedAt: () => lastAcceptedAt,
    async stop(): Promise<void> {
      clearInterval(timer);
      await Promise.all(calls);
    },
  };
}

/** Freezes Redis in the middle of the callers' work, and stops them after it has thawed. */
async function freeze(callers: ReturnType<typeof startCallers>, ms: number): Promise<void> {
  await eventually(() => callers.accepted.size > 50);
  await redis.current.freeze();
  await sleep(ms);
  await redis.current.thaw();
  const thawedAt = Date.now();
  await eventually(() => callers.lastAcceptedAt() > thawedAt + 1_000, { deadlineMs: 30_000 });
  await callers.stop();
}

function expectOnceEach(log: readonly Entry[], sent: number): void {
  expect(log.map(({ id }) => id).toSorted((one, other) => one - other)).toEqual(range(sent));
  expect(log.map(({ offset }) => offset)).toEqual(range(sent).map((n) => n + 1));
}

/**
 * Expects that a subscriber received nothing twice, everything in order, and nothing that is missing from the history.
 */
function expectToBelongTo(live: readonly Entry[], log: readonly Entry[]): void {
  expect(live.length).toBeGreaterThan(100);
  const offsets = live.map(({ offset }) => offset);
  expect(offsets).toEqual([...new Set(offsets)].toSorted((one, other) => one - other));
  const byOffset = new Map(log.map((entry) => [entry.offset, entry]));
  for (const entry of live) expect(byOffset.get(entry.offset)).toEqual(entry);
}

/** Returns for each publication its age in ms: the time since its request, or since the last request before it. */
function agesOf(log: readonly Entry[], attempts: readonly Attempt[]): readonly number[] {
  const starts = new Map<number, number[]>();
  for (const { id, startedAt } of attempts) {
    starts.set(id, [...(starts.get(id) ?? []), startedAt]);
  }
  return log.map(({ id, at }) => {
    const before = (starts.get(id) ?? []).filter((startedAt) => startedAt <= at + ROUNDING_MS);
    return at - Math.max(...before);
  });
}

/** Ingest counts from the time at which it has read a request, which is not before the request began. */
function expectInTime(log: readonly Entry[], attempts: readonly Attempt[], maxAgeMs: number): void {
  // The time from a caller's request until ingest has read it, on a busy machine, in ms.
  const onTheWayMs = 1_500;
  expect(Math.max(...agesOf(log, attempts))).toBeLessThanOrEqual(maxAgeMs + onTheWayMs);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
