import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { commandsWithin } from '../../support/redis/redis-topology.ts';
import type { ServiceEnvironment } from '../../support/services/service.ts';
import { Scenario } from '../scenario/scenario.ts';

const CHANNELS = Array.from({ length: 10_000 }, (_, i) => `quiet.${i}`);
const CHANNELS_PER_CLIENT = 500;

/** After this time, in ms, the checks after a publication have backed off to 8 s and more. */
const BACKED_OFF_MS = 10_000;
const MEASURED_MS = 10_000;

/** The same for the control, where every second is alike. */
const SETTLED_MS = 2_000;
const MEASURED_SHORTLY_MS = 4_000;

/**
 * The most that Redis may be asked in a second: in commands, and in channels whose position is read, singly or in large
 * batches.
 */
const COMMANDS_PER_SECOND = 500;
const POSITIONS_PER_SECOND = 2_500;

/** The commands of an idle edge with 10,000 quiet channels in a second. */
async function costOfQuiet(env: ServiceEnvironment, quietMs: number, measuredMs: number) {
  await using scenario = await Scenario.start({
    env: { EDGE_NODE_SUBSCRIBE_RATE: '1000000', EDGE_SUBSCRIBE_RATE: '100000', ...env },
  });
  const via = scenario.scriptPublisher();
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 0, via });
  await Promise.all(CHANNELS.map((channel) => publisher.publishOne(channel)));
  for (let at = 0; at < CHANNELS.length; at += CHANNELS_PER_CLIENT)
    await scenario.connect({ channels: CHANNELS.slice(at, at + CHANNELS_PER_CLIENT) });
  await sleep(quietMs);
  let asked = 0;
  using watch = scenario.proxy.watchCommands(([name = '']) => {
    if (/^getrange$/i.test(name)) asked += 1;
  });
  const calls = await commandsWithin(scenario.redis, measuredMs);
  watch[Symbol.dispose]();
  const all = [...calls.values()].reduce((sum, count) => sum + count, 0);
  const commands = all - (calls.get('getrange') ?? 0);
  await scenario.verify();
  const seconds = measuredMs / 1_000;
  return { commands: commands / seconds, positions: asked / seconds };
}

it('10,000 quiet channels on an idle edge cost Redis fewer than 500 commands a second', async () => {
  const { commands, positions } = await costOfQuiet({}, BACKED_OFF_MS, MEASURED_MS);
  expect(commands).toBeLessThan(COMMANDS_PER_SECOND);
  expect(positions, 'channels whose position is read').toBeLessThan(POSITIONS_PER_SECOND);
});

it('control: checking each once a second, like a busy one, costs far more', async () => {
  const env = { EDGE_TAIL_CHECK_SECONDS: '1' };
  const { positions } = await costOfQuiet(env, SETTLED_MS, MEASURED_SHORTLY_MS);
  expect(positions).toBeGreaterThan(POSITIONS_PER_SECOND);
});
