import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { startRedis } from '../../support/redis/redis.ts';
import { type RedisCluster, startRedisCluster } from '../../support/redis/redis-cluster.ts';
import { IS_CLUSTER } from '../../support/redis/redis-mode.ts';
import {
  type ServiceEnvironment,
  startEdge,
  startIngest,
  untilLinked,
} from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

/** Includes the longest wait before a link is tried again. */
const LINE_DEADLINE_MS = 20_000;

/** Longer than a node of a Cluster is silent on a busy machine, in ms: nobody may think it failed. */
const NODE_TIMEOUT_MS = 30_000;

/** Longer than what the other shards need for a publication, and shorter than a caller waits, in ms. */
const MAX_AGE_MS = 2_000;

let owned: AsyncDisposableStack;
let server: Server;
let port: number;
/** What services are told: the proxy, or a Cluster whose first node tells its clients the proxy's port. */
let env: ServiceEnvironment;
let cluster: RedisCluster | undefined;
/** Whether the answer to HELLO says version 6. */
let isOld = true;

beforeAll(async () => {
  owned = new AsyncDisposableStack();
  let upstreamOf = { host: '127.0.0.1', port: 0 };
  server = createServer((socket) => {
    const upstream = connect(upstreamOf.port, upstreamOf.host);
    for (const each of [socket, upstream]) each.on('error', () => undefined);
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
    socket.pipe(upstream);
    upstream.on('data', (bytes) => {
      // As many bytes as before, so that the reply stays whole.
      const text = bytes.toString('latin1').replace(/\r\n\d(\.\d+\.\d+)\r\n/, '\r\n6$1\r\n');
      socket.write(isOld ? Buffer.from(text, 'latin1') : bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as { port: number });
  if (IS_CLUSTER) {
    cluster = owned.use(
      await startRedisCluster({
        ...{ replicas: 0, nodeTimeoutMs: NODE_TIMEOUT_MS, announcedPorts: [port] },
      }),
    );
    upstreamOf = cluster.nodes[0]!;
    env = { REDIS_MODE: 'cluster', REDIS_URL: cluster.url };
  } else {
    upstreamOf = owned.use(await startRedis());
    env = { REDIS_URL: `redis://127.0.0.1:${port}` };
  }
});

afterAll(async () => {
  server?.close();
  await owned?.disposeAsync();
});

it('a Redis before 7.0 is refused by an edge and an ingest with a clear word, and one that replaces it is taken', async ({
  skip,
}) => {
  skip(IS_CLUSTER, 'one node of a Cluster is old in the next test');
  isOld = true;
  await using edge = await startEdge(env);
  await using ingest = await startIngest({ ...env, INGEST_MAX_AGE_MS: '100' });
  const says = (line: string) => /it is redis 6\.\d+\.\d+, and Tradewind needs 7\.0/.test(line);
  for (const service of [edge, ingest])
    await service.waitForLine((line) => says(line) || undefined, LINE_DEADLINE_MS);
  expect((await fetch(`${edge.url}/readyz`)).status).toBe(503);
  const publish = () => fetch(`${ingest.url}/v1/channels/a`, { method: 'POST', body: '1' });
  expect((await publish()).status).toBe(503);

  isOld = false;
  await untilLinked(edge);
  await untilLinked(ingest);
  // On a busy machine one may wait for longer than it may wait.
  await eventually(async () => (await publish()).status === 200);
});

it('a node of a Cluster that is older than 7.0 is refused alone and by its name, and taken once it is new', async ({
  skip,
}) => {
  skip(!IS_CLUSTER, 'it needs a Cluster');
  isOld = true;
  const [old, ...others] = cluster!.nodes;
  const [away = ''] = await cluster!.channelsOn(old!, 1, 'old');
  const served = await Promise.all(
    others.map(async (node) => (await cluster!.channelsOn(node, 1, 'new'))[0]!),
  );
  await using edge = await startEdge(env);
  await using ingest = await startIngest({ ...env, INGEST_MAX_AGE_MS: String(MAX_AGE_MS) });
  const says = (line: string) =>
    /it is redis 6\.\d+\.\d+, and Tradewind needs 7\.0/.test(line) &&
    line.includes(`127.0.0.1:${port}`);
  for (const service of [edge, ingest])
    await service.waitForLine((line) => says(line) || undefined, LINE_DEADLINE_MS);
  const publish = async (channel: string) => {
    const url = `${ingest.url}/v1/channels/${channel}`;
    return (await fetch(url, { method: 'POST', body: '1' })).status;
  };
  const shards = async () => {
    const response = await fetch(`${edge.adminUrl}/readyz`);
    return (await response.json()) as { ready: boolean; degraded: boolean };
  };
  await eventually(async () =>
    expect(await shards()).toMatchObject({ ready: true, degraded: true }),
  );
  await using client = await TestClient.connect(edge.wsUrl, { channels: served });
  for (const channel of served)
    await eventually(async () => expect(await publish(channel)).toBe(200));
  await client.waitFor((seen) => served.every((each) => seen.publicationsOn(each).length > 0));
  expect(await publish(away)).toBe(503);

  isOld = false;
  await untilLinked(edge);
  await untilLinked(ingest);
  expect(await publish(away)).toBe(200);
});
