import { expect, it } from 'vitest';
import { Scenario } from './scenario.ts';

const CLIENTS = 5_000;

/** Clients that connect at the same time in the beginning. */
const BATCH = 500;
const JITTER_MS = 5_000;
const FULL_SERVICE_MS = 60_000;
const CHANNELS = Array.from({ length: 100 }, (_, i) => `storm.${i}`);

it('B8: 5,000 clients are dropped at once and come back within a minute, with nothing missing', async () => {
  await using scenario = await Scenario.start({ edges: 2 });
  const publisher = scenario.publish({ channels: CHANNELS, ratePerSecond: 50 });
  const channels = (index: number): string[] => [CHANNELS[index % CHANNELS.length]!];
  for (let i = 0; i < CLIENTS; i += BATCH)
    await scenario.connect({ channels, count: BATCH, jitterMs: JITTER_MS });
  expect(scenario.clients).toHaveLength(CLIENTS);
  const before = await scenario.redis.commandCalls();
  for (const client of scenario.clients) client.drop();
  const gone = (): boolean => scenario.clients.every(({ failures }) => failures > 0);
  await scenario.until(gone, 'the control: all are really gone');
  const back = (): boolean => scenario.clients.every(({ live }) => live);
  await scenario.until(back, 'all are back', FULL_SERVICE_MS);
  await publisher.stop();
  const after = await scenario.redis.commandCalls();
  const subscribes = (after.get('subscribe') ?? 0) - (before.get('subscribe') ?? 0);
  expect(subscribes).toBeLessThan(CHANNELS.length * scenario.edges.length);
  await scenario.verify();
});
