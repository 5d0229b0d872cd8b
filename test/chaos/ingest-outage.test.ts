import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { startIngest, untilLinked } from '../support/service.ts';
import { ingestPublisher } from './ingest-publisher.ts';
import { NaiveSubscriber } from './naive-subscriber.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';
const AWAY_MS = 30_000;

/** No trade may be published this long after ingest was given it, in ms. */
const MAX_AGE_MS = 10_000;

it('A9: Redis is away for 30 s: ingest keeps nothing to publish when it is stale', async () => {
  await using scenario = await Scenario.start();
  const ingest = scenario.use(await startIngest({ REDIS_URL: scenario.redis.url }));
  await untilLinked(ingest);
  const via = ingestPublisher(ingest.url);
  const publisher = scenario.publish({
    channels: [CHANNEL],
    ratePerSecond: 100,
    via,
    maxInFlight: 1,
  });
  const [client] = await scenario.connect({ channels: [CHANNEL] });
  await scenario.until(() => publisher.acknowledged > 100, 'trades flow');
  const naive = scenario.use(
    await NaiveSubscriber.start(scenario.redis.url, ['unprotected'], scenario.ledger),
  );
  await scenario.redis.kill();
  // The control: a client with its defaults keeps all that it is given, however old.
  const control = naive.redis.duplicate();
  scenario.use({ [Symbol.dispose]: () => control.disconnect() });
  control.on('error', () => {});
  const kept = control.publish('unprotected', JSON.stringify({ at: Date.now() }));
  kept.catch(() => {});
  let oldest = 0;
  client!.onFrame = (frame) => {
    if (frame.type !== undefined) return;
    const { at } = JSON.parse(frame.data) as { readonly at: number };
    oldest = Math.max(oldest, Date.now() - at);
  };
  await sleep(AWAY_MS);
  const { failed } = publisher;
  expect(failed, 'what cannot be published is refused').toBeGreaterThan(0);
  await scenario.redis.restart('empty');
  const { acknowledged } = publisher;
  await scenario.until(() => publisher.acknowledged > acknowledged + 100, 'trades flow again');
  await kept;
  await publisher.stop();
  expect(oldest).toBeLessThan(MAX_AGE_MS);
  await scenario.verify();
});
