import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { commandsWithin } from '../support/redis-topology.ts';
import { Scenario } from './scenario.ts';

const CHANNELS = Array.from({ length: 10_000 }, (_, i) => `quiet.${i}`);
const CHANNELS_PER_CLIENT = 500;

/** By then the tail checks that follow a publication have backed off, in ms. */
const BACKED_OFF_MS = 10_000;
const MEASURED_MS = 10_000;

async function commandsPerSecond(scenario: Scenario): Promise<number> {
  const calls = await commandsWithin(scenario.redis, MEASURED_MS);
  return [...calls.values()].reduce((sum, count) => sum + count, 0) / (MEASURED_MS / 1_000);
}

it('10,000 quiet channels on an idle edge cost Redis fewer than 500 commands a second', async () => {
  const env = { EDGE_NODE_SUBSCRIBE_RATE: '1000000', EDGE_SUBSCRIBE_RATE: '100000' };
  await using scenario = await Scenario.start({ env });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 0 });
  for (const channel of CHANNELS) await publisher.publishOne(channel);
  for (let at = 0; at < CHANNELS.length; at += CHANNELS_PER_CLIENT)
    await scenario.connect({ channels: CHANNELS.slice(at, at + CHANNELS_PER_CLIENT) });
  await sleep(BACKED_OFF_MS);
  expect(await commandsPerSecond(scenario)).toBeLessThan(500);

  // The control: the same count sees a publisher that costs more than that.
  const { control } = scenario.redis;
  const busy = setInterval(() => {
    for (let i = 0; i < 10; i += 1) control.ping().catch(() => {});
  }, 10);
  try {
    expect(await commandsPerSecond(scenario)).toBeGreaterThan(500);
  } finally {
    clearInterval(busy);
  }
  await scenario.verify();
});
