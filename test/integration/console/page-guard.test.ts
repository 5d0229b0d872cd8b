import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ServiceProcess } from '@tradewind/dev';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRedis, type TestRedis } from '../../support/redis/redis.ts';
import { startEdge, startIngest, untilLinked } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

/** What a page's name that was made to lead here, and what a page of another origin, cannot leave out. */
const PAGES = [
  ['a name that leads here', { host: 'evil.example' }, 421, 'host_not_allowed'],
  ['another origin', { origin: 'https://evil.example' }, 403, 'origin_not_allowed'],
  ['a sandboxed frame', { origin: 'null' }, 403, 'origin_not_allowed'],
  ['another site', { 'sec-fetch-site': 'cross-site' }, 403, 'origin_not_allowed'],
] as const;

let redis: TestRedis;
let edge: ServiceProcess;
let ingest: ServiceProcess;
let subscriber: Redis;
const received: string[] = [];
const services = new AsyncDisposableStack();

beforeAll(async () => {
  redis = services.use(await startRedis());
  edge = services.use(await startEdge({ REDIS_URL: redis.url, EDGE_WORKERS: '1' }));
  ingest = services.use(await startIngest({ REDIS_URL: redis.url }));
  await Promise.all([untilLinked(edge), untilLinked(ingest)]);
  subscriber = new Redis(redis.url);
  services.defer(() => subscriber.disconnect());
  subscriber.on('message', (_channel, message) => received.push(message));
  await subscriber.subscribe('a');
});
afterAll(() => services.disposeAsync());

describe.each(PAGES)('a page in a browser on the machine: %s', (_name, headers, status, code) => {
  it.each([
    ['POST', '/drain'],
    ['GET', '/metrics'],
    ['GET', '/debug/index'],
    ['GET', '/healthz'],
    ['GET', '/readyz'],
  ] as const)('cannot have %s %s of an admin port without a token', async (method, path) => {
    for (const { adminPort } of [edge, ingest]) {
      const answer = await ask(adminPort, method, path, headers);
      expect(answer).toMatchObject({ status, body: expect.stringContaining(`"${code}"`) });
    }
    for (const { adminUrl } of [edge, ingest]) {
      expect((await fetch(`${adminUrl}/readyz`)).status, 'no drain began').toBe(200);
    }
  });

  it('cannot publish by an ingest without tokens', async () => {
    const plain = { 'content-type': 'text/plain' };
    const forged = { ...plain, ...headers };
    const answer = await ask(ingest.port, 'POST', '/v1/channels/a', forged, 'of a page');
    expect(answer).toMatchObject({ status, body: expect.stringContaining(`"${code}"`) });
    await ask(ingest.port, 'POST', '/v1/channels/a', plain, 'of a program');
    await eventually(() => received.some((message) => message.includes('of a program')));
    expect(received.filter((message) => message.includes('of a page'))).toEqual([]);
    received.length = 0;
  });
});

it('answers programs on the machine, whichever loopback name they use', async () => {
  for (const host of ['localhost', '127.0.0.1:9080', '[::1]:9080']) {
    expect((await ask(edge.adminPort, 'GET', '/metrics', { host })).status).toBe(200);
    expect((await ask(ingest.adminPort, 'GET', '/metrics', { host })).status).toBe(200);
    const answer = await ask(ingest.port, 'POST', '/v1/channels/a', { host }, '3');
    expect(answer.status).toBe(200);
  }
});

it('says in the log that it refused', () => {
  for (const { output } of [edge, ingest]) {
    expect(output.join('\n')).toContain('request_refused_host_not_allowed');
    expect(output.join('\n')).toContain('request_refused_origin_not_allowed');
  }
});

it('control: where a token is needed it is what protects, and any name and origin will do with it', async () => {
  const tokens = { ADMIN_TOKEN: 'an-admin-token', INGEST_TOKENS: 'a-token' };
  await using guarded = await startIngest({ REDIS_URL: redis.url, ...tokens });
  for (const [, headers] of PAGES) {
    const refused = await ask(guarded.adminPort, 'GET', '/metrics', headers);
    expect(refused.status).toBe(401);
    const admin = { ...headers, authorization: 'Bearer an-admin-token' };
    expect((await ask(guarded.adminPort, 'GET', '/metrics', admin)).status).toBe(200);
    const publisher = { ...headers, authorization: 'Bearer a-token' };
    const answer = await ask(guarded.port, 'POST', '/v1/channels/a', publisher, '4');
    expect(answer.status).toBe(200);
  }
});

/** Sends one request with exactly these headers. */
function ask(
  port: number,
  method: 'GET' | 'POST',
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers: { ...headers } });
    request.once('response', (response) => {
      text(response).then(
        (answer) => resolve({ status: response.statusCode, body: answer }),
        reject,
      );
    });
    request.once('error', reject);
    request.end(body);
  });
}
