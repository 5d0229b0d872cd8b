import { expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { ScriptPublisher } from '../../support/clients/script-publisher.ts';
import type { TestRedis } from '../../support/redis/redis.ts';
import {
  commandCalls,
  connectBackend,
  serviceEnv,
  startRedisOfMode,
} from '../../support/redis/redis-mode.ts';
import { startEdge, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

const CHANNEL = 'BTC.trade';
const PUBLICATIONS = 500;

/** Counts the positions that edges read: each is a GETRANGE, or part of an MGET if the ACL forbids GETRANGE. */
async function positionsRead(redis: TestRedis): Promise<number> {
  const calls = await commandCalls(redis);
  return (calls.get('getrange') ?? 0) + (calls.get('mget') ?? 0);
}

it('reads no position while publications follow each other, and one if a header does not follow', async () => {
  await using redis = await startRedisOfMode();
  // Tail checks of quiet channels read positions, too, and on a busy machine the test may be quiet for a second.
  await using edge = await startEdge({ ...serviceEnv(redis), EDGE_TAIL_CHECK_SECONDS: '0' });
  await untilLinked(edge);
  const backend = connectBackend(redis);
  using _ = { [Symbol.dispose]: () => backend.disconnect() };
  const publisher = new ScriptPublisher(backend, PUBLICATIONS);
  await using client = await TestClient.connect(edge.wsUrl, { channels: [CHANNEL] });
  await publisher.publish(CHANNEL);
  await client.waitFor(() => client.publications.length === 1);
  const before = await positionsRead(redis);
  expect(before, 'control: the position was read').toBeGreaterThan(0);

  for (let n = 0; n < PUBLICATIONS; n += 1) await publisher.publish(CHANNEL);
  await client.waitFor(() => client.publications.length === 1 + PUBLICATIONS);
  expect(await positionsRead(redis)).toBe(before);

  const [epoch] = (await backend.get(`{${CHANNEL}}:meta`))!.split(':');
  await backend.publish(CHANNEL, `@1:${epoch}:1000000:1;"does not follow"`);
  // What comes while the read is on its way asks for another, so the answer must have come.
  await eventually(async () => {
    const metrics = await edge.metrics();
    expect(metrics.sum('tradewind_edge_headers_rejected_total')).toBe(1);
  });
  expect(await positionsRead(redis)).toBe(before + 1);
  await publisher.publish(CHANNEL);
  await client.waitFor(() => client.publications.length === 2 + PUBLICATIONS);
  expect(client.publications.at(-1)).toMatchObject({ offset: 2 + PUBLICATIONS });
  expect(client.controlsOf('gap'), 'nothing was missed').toEqual([]);
  expect(await positionsRead(redis)).toBe(before + 1);
});
