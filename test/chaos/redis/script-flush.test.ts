import { setTimeout as sleep } from 'node:timers/promises';
import { PUBLISH_SCRIPT, publishArguments, publishKeys, readPublishReply } from '@tradewind/bus';
import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import type { NumberedPublisher, SequencedPublisher } from '../publishers/publisher.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const RATE = 200;
const FLUSHES = 20;
const FLUSH_EVERY_MS = 50;

/** Publishes while Redis repeatedly forgets its scripts. */
async function flushWhile(scenario: Scenario, via: SequencedPublisher): Promise<NumberedPublisher> {
  await scenario.connect({ channels: [CHANNEL], count: 3 });
  const publisher = scenario.publish({
    ...{ channels: [CHANNEL], ratePerSecond: RATE, via, maxInFlight: 1 },
  });
  await scenario.until(() => publisher.acknowledged > 0, 'trades flow');
  for (let i = 0; i < FLUSHES; i += 1) {
    await scenario.redis.control.script('FLUSH');
    await sleep(FLUSH_EVERY_MS);
  }
  await publisher.stop();
  return publisher;
}

/** Loads the script once and relies on Redis to remember it, as older documentation of Redis suggests. */
async function forgetfulPublisher(redis: Redis): Promise<SequencedPublisher> {
  await redis.script('LOAD', PUBLISH_SCRIPT.text);
  return {
    async publish(channel, payload) {
      const terms = { historySize: 1_000, historyTtlMs: 0, idempotencyWindowMs: 0 };
      const args = publishArguments({ channel, payload, ...terms });
      return readPublishReply(
        await redis.evalsha(PUBLISH_SCRIPT.sha, 2, ...publishKeys(channel), ...args),
      );
    },
    [Symbol.dispose]: () => {},
  };
}

it('A15: Redis forgets the script while trades are published: none is refused', async () => {
  await using scenario = await Scenario.start();
  const ingest = await scenario.startIngest();
  const publisher = await flushWhile(scenario, ingest.publisher);
  expect(publisher.failed).toBe(0);
  expect(publisher.acknowledged).toBeGreaterThan(RATE / 4);
  await scenario.verify();
});

it('A15, control: a publisher that only sends its digest is refused from the first flush on', async () => {
  await using scenario = await Scenario.start();
  const via = await forgetfulPublisher(scenario.redis.control);
  const publisher = await flushWhile(scenario, via);
  expect(publisher.failed).toBeGreaterThan(RATE / 4);
});
