import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { linksOf } from '../../support/faults/tcp-fault-proxy.ts';
import type { PublishOptions } from '../publishers/publisher.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNEL = 'BTC.trade';
const TIMES = 100;

/** Publishes the same 100 times at once, with the link cut in the middle, and once more. */
async function sendOften(
  scenario: Scenario,
  payloadOf: (time: number) => string,
  options: PublishOptions,
): Promise<number> {
  const [client] = await scenario.connect({ channels: [CHANNEL] });
  const via = scenario.scriptPublisher(scenario.proxy.url);
  const send = async (_: unknown, time: number): Promise<void> => {
    const payload = payloadOf(time);
    try {
      scenario.ledger.acknowledged(CHANNEL, await via.publish(CHANNEL, payload, options), payload);
    } catch {
      scenario.ledger.uncertain(CHANNEL, payload);
    }
  };
  await scenario.until(() => via.publish('warm-up', '0').then(Boolean), 'it is linked');
  const isScript = ([name = '']: readonly string[]): boolean => /^(evalsha|fcall)$/i.test(name);
  const nth = 1 + scenario.random.below(TIMES);
  const links = linksOf('commands', 'chaos');
  const trap = scenario.proxy.dropReplyThenCut(isScript, { nth, links });
  await Promise.all(Array.from({ length: TIMES }, send));
  await trap.sprung;
  await scenario.until(() => via.publish('warm-up', '0').then(Boolean), 'it is linked again');
  await send(undefined, TIMES);
  await scenario.settle();
  await scenario.verify();
  return client!.oracle.counts.publications;
}

it('the same idempotency key 100 times at once and across a reconnect is one publication', async () => {
  await using scenario = await Scenario.start();
  expect(await sendOften(scenario, () => '"the same"', { idempotencyKey: 'trade-1' })).toBe(1);
});

it('control: without a key each is a separate publication', async () => {
  await using scenario = await Scenario.start();
  expect(await sendOften(scenario, (time) => `"the same ${time}"`, {})).toBeGreaterThan(1);
});

/** Publishes while Redis is frozen, for longer than the publication may wait. */
async function publishFrozen(scenario: Scenario, ageMs: number): Promise<number> {
  const [client] = await scenario.connect({ channels: [CHANNEL] });
  const via = scenario.scriptPublisher();
  await scenario.until(() => via.publish('warm-up', '0').then(Boolean), 'it is linked');
  scenario.redis.pause();
  const notAfterMs = ageMs === 0 ? 0 : Date.now() + ageMs;
  scenario.ledger.uncertain(CHANNEL, '"stale"');
  const outcome = via.publish(CHANNEL, '"stale"', { notAfterMs }).catch(() => 'refused');
  await sleep(2_000);
  scenario.redis.resume();
  await outcome;
  const fresh = await via.publish(CHANNEL, '{"n":1}');
  scenario.ledger.acknowledged(CHANNEL, fresh, '{"n":1}');
  expect(await scenario.settle()).toBe(true);
  await scenario.verify();
  return client!.oracle.counts.publications;
}

it('a publish that was frozen past its deadline is refused', async () => {
  await using scenario = await Scenario.start();
  expect(await publishFrozen(scenario, 500)).toBe(1);
});

it('control: without a deadline it is published late', async () => {
  await using scenario = await Scenario.start();
  expect(await publishFrozen(scenario, 0)).toBe(2);
});
