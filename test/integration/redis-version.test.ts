import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startEdge, startIngest, untilLinked } from '../support/service.ts';

/** Includes the longest wait before a link is tried again. */
const LINE_DEADLINE_MS = 20_000;

let redis: TestRedis;
let server: Server;
let url: string;
/** Whether the answer to HELLO says version 6. */
let isOld = true;

beforeAll(async () => {
  redis = await startRedis();
  server = createServer((socket) => {
    const upstream = connect(redis.port, redis.host);
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
  url = `redis://127.0.0.1:${(server.address() as { port: number }).port}`;
});

afterAll(async () => {
  server?.close();
  await redis?.stop();
});

it('a Redis before 7.0 is refused by an edge and an ingest with a clear word, and one that replaces it is taken', async () => {
  isOld = true;
  await using edge = await startEdge({ REDIS_URL: url });
  await using ingest = await startIngest({ REDIS_URL: url, INGEST_MAX_AGE_MS: '100' });
  const says = (line: string) => /it is redis 6\.\d+\.\d+, and Tradewind needs 7\.0/.test(line);
  for (const service of [edge, ingest])
    await service.waitForLine((line) => says(line) || undefined, LINE_DEADLINE_MS);
  expect((await fetch(`${edge.url}/readyz`)).status).toBe(503);
  const publish = () => fetch(`${ingest.url}/v1/channels/a`, { method: 'POST', body: '1' });
  expect((await publish()).status).toBe(503);

  isOld = false;
  await untilLinked(edge);
  await untilLinked(ingest);
  expect((await publish()).status).toBe(200);
});
