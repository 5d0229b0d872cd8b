import {
  logKey,
  metaKey,
  onceKey,
  PUBLISH_SCRIPT,
  publishArguments,
  publishKeys,
  type SequencedPublication,
} from '@tradewind/bus';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startRedis } from '../../support/redis/redis.ts';
import { type RedisCluster, startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { IS_CLUSTER } from '../../support/redis/redis-mode.ts';

/** The formula of docs/publishing.md, in bytes. */
const metaBound = (channel: number): number => 160 + channel;
const onceBound = (channel: number, key: number): number => 192 + channel + key;
const logBound = (channel: number, size: number, payload: number): number =>
  12_288 + channel + 1.4 * size * (payload + 32);

/** Longer than a node of a Cluster is silent on a busy machine while it carries out a pipeline, in ms: nobody may think it failed. */
const NODE_TIMEOUT_MS = 30_000;

/** More publications than one node of a stream holds, to measure every state of its first and last node. */
const MEASURED_PUBLICATIONS = 210;

let owned: AsyncDisposableStack;
let cluster: RedisCluster | undefined;
/** The Redis, or the master of {@link measure}'s channel. */
let admin: Redis;

beforeAll(async () => {
  // A replica is sent all commands by a buffer that counts as memory of its master.
  if (IS_CLUSTER)
    cluster = await startRedisCluster({ replicas: 0, nodeTimeoutMs: NODE_TIMEOUT_MS });
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  owned = new AsyncDisposableStack();
  if (IS_CLUSTER) return;
  const { url } = owned.use(await startRedis());
  admin = owned.adopt(new Redis(url), (redis) => redis.disconnect());
});

afterEach(async () => {
  await owned.disposeAsync();
});

/** Measures on the master of a channel from now on, which is empty. */
async function measure(channel: string): Promise<void> {
  if (cluster === undefined) return;
  ({ control: admin } = await cluster.masterOf(channel));
  await admin.flushall();
}

async function publish(publications: readonly SequencedPublication[]): Promise<void> {
  const pipeline = admin.pipeline();
  for (const publication of publications)
    pipeline.eval(
      PUBLISH_SCRIPT.text,
      2,
      ...publishKeys(publication.channel),
      ...publishArguments(publication, IS_CLUSTER),
    );
  for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
}

async function memoryUsage(key: string): Promise<number> {
  return Number(await admin.call('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
}

async function usedMemory(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1]);
}

describe('the memory of a channel', () => {
  it.each([
    { channelBytes: 1, size: 1, payloadBytes: 150 },
    { channelBytes: 9, size: 10, payloadBytes: 500 },
    { channelBytes: 9, size: 100, payloadBytes: 1 },
    { channelBytes: 9, size: 100, payloadBytes: 150 },
    { channelBytes: 128, size: 100, payloadBytes: 500 },
    { channelBytes: 9, size: 100, payloadBytes: 5_000 },
    { channelBytes: 9, size: 1_000, payloadBytes: 150 },
    { channelBytes: 9, size: 100, payloadBytes: 65_536 },
  ])(
    'is within its formula: $size of $payloadBytes bytes',
    async ({ channelBytes, size, payloadBytes }) => {
      const channel = 'c'.repeat(channelBytes);
      await measure(channel);
      const publication: SequencedPublication = {
        channel,
        payload: 'x'.repeat(payloadBytes),
        historySize: size,
        historyTtlMs: 600_000,
        idempotencyWindowMs: 0,
      };
      await publish(Array.from({ length: size }, () => publication));
      let log = 0;
      for (let index = 0; index < MEASURED_PUBLICATIONS; index += 1) {
        await publish([publication]);
        log = Math.max(log, await memoryUsage(logKey(channel)));
      }
      const meta = await memoryUsage(metaKey(channel));
      console.log(
        `channel ${channelBytes} bytes, ${size} of ${payloadBytes}: meta ${meta}, log ${log} bytes`,
      );
      expect(meta).toBeLessThanOrEqual(metaBound(channelBytes));
      expect(log).toBeLessThanOrEqual(logBound(channelBytes, size, payloadBytes));
      expect(log).toBeGreaterThan(size * payloadBytes);
    },
  );

  it('grows within its formula by idempotency keys, their expiry included', async () => {
    const key = (index: number): string => String(index).padStart(36, '0');
    const publications = (from: number, count: number): SequencedPublication[] =>
      Array.from({ length: count }, (_, index) => ({
        channel: 'BTC.trade',
        payload: 'x',
        historySize: 0,
        historyTtlMs: 0,
        idempotencyKey: key(from + index),
        idempotencyWindowMs: 600_000,
      }));
    await measure('BTC.trade');
    await publish(publications(0, 1_000));
    const before = await usedMemory();
    const count = 10_000;
    await publish(publications(1_000, count));
    const each = ((await usedMemory()) - before) / count;
    const alone = await memoryUsage(onceKey('BTC.trade', key(5)));
    console.log(`idempotency key of 36 bytes: ${alone} bytes, ${Math.round(each)} with its expiry`);
    expect(each).toBeLessThanOrEqual(onceBound('BTC.trade'.length, 36));
    expect(each).toBeGreaterThanOrEqual(alone);
  });
});
