import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { startIngest, untilLinked } from '../support/service.ts';
import { expectToFail } from './expect-complaints.ts';
import { ingestPublisher } from './ingest-publisher.ts';
import { Scenario } from './scenario.ts';

const CHANNEL = 'BTC.trade';

it('A15: Redis forgets the script while trades are published: none is refused', async () => {
  await using scenario = await Scenario.start();
  const ingest = scenario.use(await startIngest({ REDIS_URL: scenario.redis.url }));
  await untilLinked(ingest);
  await scenario.connect({ channels: [CHANNEL], count: 3 });
  const via = ingestPublisher(ingest.url);
  const publisher = scenario.publish({
    channels: [CHANNEL],
    ratePerSecond: 200,
    via,
    maxInFlight: 1,
  });
  const { control } = scenario.redis;
  const digest = (await control.script('LOAD', 'return 1')) as string;
  for (let i = 0; i < 20; i += 1) {
    await control.script('FLUSH');
    await sleep(50);
  }
  await expectToFail(async () => void (await control.evalsha(digest, 0)));
  await publisher.stop();
  expect(publisher.failed).toBe(0);
  expect(publisher.acknowledged).toBeGreaterThan(50);
  await scenario.verify();
});
