import { expect, it } from 'vitest';
import { startScriptPublisher } from '../chaos/script-publisher.ts';
import { TestClient } from '../support/client.ts';
import { type RedisNode, startRedisNode } from '../support/redis/redis-topology.ts';
import { startEdge, untilLinked } from '../support/service.ts';
import { eventually } from '../support/wait.ts';

const CHANNEL = 'BTC.trade';
const PUBLICATIONS = 500;

/** Counts the positions that edges read: each is a GETRANGE, or part of an MGET if the ACL forbids GETRANGE. */
async function positionsRead(redis: RedisNode): Promise<number> {
  const calls = await redis.commandCalls();
  return (calls.get('getrange') ?? 0) + (calls.get('mget') ?? 0);
}

it('reads no position while publications follow each other, and one if a header does not follow', async () => {
  await using redis = await startRedisNode();
  // Tail checks of quiet channels read positions, too, and on a busy machine the test may be quiet for a second.
  await using edge = await startEdge({ REDIS_URL: redis.url, EDGE_TAIL_CHECK_SECONDS: '0' });
  await untilLinked(edge);
  await using publisher = startScriptPublisher(redis.url);
  await using client = await TestClient.connect(edge.wsUrl, { channels: [CHANNEL] });
  await publisher.publish(CHANNEL, 'the first of an epoch');
  await client.waitFor(() => client.publications.length === 1);
  const before = await positionsRead(redis);
  expect(before, 'control: the position was read').toBeGreaterThan(0);

  for (let n = 0; n < PUBLICATIONS; n += 1) await publisher.publish(CHANNEL, String(n));
  await client.waitFor(() => client.publications.length === 1 + PUBLICATIONS);
  expect(await positionsRead(redis)).toBe(before);

  const [epoch] = (await redis.control.get(`{${CHANNEL}}:meta`))!.split(':');
  await redis.control.publish(CHANNEL, `@1:${epoch}:1000000:1;"does not follow"`);
  // What comes while the read is on its way asks for another, so the answer must have come.
  await eventually(async () => {
    const metrics = await edge.metrics();
    expect(metrics.sum('tradewind_edge_headers_rejected_total')).toBe(1);
  });
  expect(await positionsRead(redis)).toBe(before + 1);
  await publisher.publish(CHANNEL, 'the last');
  await client.waitFor(() => client.publications.length === 2 + PUBLICATIONS);
  expect(client.publications.at(-1)).toMatchObject({ offset: 2 + PUBLICATIONS });
  expect(client.controlsOf('gap'), 'nothing was missed').toEqual([]);
  expect(await positionsRead(redis)).toBe(before + 1);
});
