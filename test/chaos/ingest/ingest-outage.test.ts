import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { ServiceEnvironment } from '../../support/services/service.ts';
import { Scenario } from '../scenario/scenario.ts';

/** One for each caller, which waits for an answer before the next: together far more than ingest queues. */
const CHANNELS = Array.from({ length: 120 }, (_, i) => `outage.${i}`);
const RATE = 600;
const QUEUE_ITEMS = 50;

const AWAY_MS = 30_000;

/** Long enough that the control's queue holds stale trades. */
const AWAY_SHORTLY_MS = 9_000;

/** The highest allowed age of a published trade, in ms since ingest received it. */
const MAX_AGE_MS = 5_000;

/** The time from a caller to ingest on a busy machine, in ms. */
const ON_THE_WAY_MS = 1_500;

/** The interval between two readings of the queue, in ms. */
const LOOK_EVERY_MS = 200;

/** The readings of ingest, and the outcome of trades, during an outage of Redis. */
interface Outage {
  /** The most publications in the queue, and the highest age of one there, in ms. */
  readonly mostQueued: number;
  readonly oldestQueuedMs: number;
  readonly expired: number;
  readonly turnedAway: number;
  /** Of all delivered trades, the longest time from the caller to Redis, in ms. */
  readonly oldestPublishedMs: number;
}

async function outlast(
  scenario: Scenario,
  env: ServiceEnvironment,
  awayMs: number,
): Promise<Outage> {
  const limits = { INGEST_QUEUE_ITEMS: String(QUEUE_ITEMS), INGEST_MAX_ITEMS: '50' };
  const ingest = await scenario.startIngest({ ...limits, INGEST_MAX_IN_FLIGHT: '128', ...env });
  const publisher = scenario.publish({
    ...{ channels: CHANNELS, ratePerSecond: RATE, via: ingest.publisher, maxInFlight: 1 },
  });
  await scenario.until(() => publisher.acknowledged > 2 * CHANNELS.length, 'trades flow');
  const [client] = await scenario.connect({ channels: CHANNELS });
  let oldestPublishedMs = 0;
  client!.onFrame = (frame) => {
    if (frame.type !== undefined) return;
    const { at } = JSON.parse(frame.data) as { readonly at: number };
    oldestPublishedMs = Math.max(oldestPublishedMs, frame.ts! - at);
  };
  const read = async (name: string): Promise<number> =>
    (await ingest.metrics()).sum(`tradewind_ingest_${name}`) ?? 0;

  await scenario.redis.kill();
  const backAt = performance.now() + awayMs;
  let [mostQueued, oldestQueuedMs] = [0, 0];
  while (performance.now() < backAt) {
    mostQueued = Math.max(mostQueued, await read('queue_publications'));
    oldestQueuedMs = Math.max(oldestQueuedMs, 1_000 * (await read('queue_oldest_seconds')));
    await sleep(LOOK_EVERY_MS);
  }
  await scenario.redis.restart('empty');
  const { acknowledged } = publisher;
  const flows = (): boolean => publisher.acknowledged > acknowledged + 5 * CHANNELS.length;
  await scenario.until(flows, 'trades flow again');
  await publisher.stop();
  await scenario.settle();
  const [expired, turnedAway] = [await read('expired_total'), await read('queue_full_total')];
  return { mostQueued, oldestQueuedMs, expired, turnedAway, oldestPublishedMs };
}

it('A9: Redis is away for 30 s under many callers: ingest queues little, and publishes nothing stale', async () => {
  await using scenario = await Scenario.start();
  const env = { INGEST_MAX_AGE_MS: String(MAX_AGE_MS) };
  const outage = await outlast(scenario, env, AWAY_MS);
  expect(outage.mostQueued, 'the bound was reached, and kept').toBe(QUEUE_ITEMS);
  expect(outage.turnedAway).toBeGreaterThan(0);
  expect(outage.expired).toBeGreaterThan(QUEUE_ITEMS);
  expect(outage.oldestQueuedMs).toBeLessThan(MAX_AGE_MS + ON_THE_WAY_MS);
  expect(outage.oldestPublishedMs).toBeLessThan(MAX_AGE_MS + ON_THE_WAY_MS);
  await scenario.verify({ epochs: 1 });
});

it('A9, control: without a limit of age the queue is published, even if it is stale', async () => {
  await using scenario = await Scenario.start();
  const outage = await outlast(scenario, { INGEST_MAX_AGE_MS: '0' }, AWAY_SHORTLY_MS);
  expect(outage.expired).toBe(0);
  expect(outage.oldestPublishedMs).toBeGreaterThan(MAX_AGE_MS + ON_THE_WAY_MS);
});
