import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { RedisRefusedError } from '@tradewind/bus';
import { afterEach, describe, expect, it } from 'vitest';
import type { PublishTerms } from '../publishing/publish.ts';
import { createHttpPublisher, RATE_LIMIT_PATIENCE_MS } from './http-publisher.ts';

type Answer = readonly [
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Readonly<Record<string, unknown>> | string,
];

const POSITION = { epoch: 'e', offset: 2, duplicate: false };
const ACCEPTED: Answer = [200, {}, { channel: 'c', ...POSITION }];
const TERMS: PublishTerms = { idempotencyWindowMs: 0, notAfterMs: undefined };
const X = { channel: 'c', payload: 'x', bytes: 1 };
const LIMITED = { error: { code: 'rate_limited', message: 'Too many.', retryable: true } };

const opened: Server[] = [];
afterEach(() => {
  for (const server of opened.splice(0)) server.close().closeAllConnections();
});

describe('createHttpPublisher', () => {
  it('sends the payload as it is, with the token and the key, and returns its place', async () => {
    const { publisher, requests } = await start([ACCEPTED], { token: 'sesame' });
    const publication = {
      channel: 'BTC/USD.trade',
      payload: '{"price": 1.10}',
      bytes: 15,
      idempotencyKey: 'run-1:file:7',
    };
    expect(await publisher.publish(publication, TERMS)).toEqual(POSITION);
    expect(requests).toEqual([
      '/v1/channels/BTC%2FUSD.trade Bearer sesame run-1:file:7 {"price": 1.10}',
    ]);
  });

  it('waits as long as the rate limit asks for and then sends the same again', async () => {
    const { publisher, requests } = await start([[429, { 'retry-after': '1' }, LIMITED], ACCEPTED]);
    const startedAt = performance.now();
    expect(await publisher.publish(X, TERMS)).toEqual(POSITION);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(999);
    expect(requests).toEqual(['/v1/channels/c   x', '/v1/channels/c   x']);
  });

  it.each([
    ['none', {}],
    ['0, which would be no wait at all', { 'retry-after': '0' }],
    ['a date', { 'retry-after': 'Fri, 01 Jan 2100 00:00:00 GMT' }],
  ])('waits a second when Retry-After is %s', async (_what, headers) => {
    const { publisher } = await start([[429, headers, 'not JSON, from a proxy'], ACCEPTED]);
    const startedAt = performance.now();
    expect(await publisher.publish(X, TERMS)).toEqual(POSITION);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(999);
  });

  it('runs out of patience with a limit that never lets it in, however long it asks for', async () => {
    const { publisher, requests } = await start([[429, { 'retry-after': '86400' }, LIMITED]], {
      // More than the first request takes on a busy machine.
      patienceMs: 1_000,
    });
    const failure = await publisher.publish(X, TERMS).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RedisRefusedError);
    expect(String(failure)).toContain('HTTP 429');
    expect(requests).toHaveLength(2);
  });

  it('gives the wait up when the signal aborts, with its reason', async () => {
    const stop = new AbortController();
    const { publisher, requests } = await start([[429, { 'retry-after': '30' }, LIMITED]], {
      signal: stop.signal,
    });
    const failure = publisher.publish(X, TERMS).catch((error: unknown) => error);
    await expect.poll(() => requests.length).toBe(1);
    stop.abort();
    expect(await failure).toBe(stop.signal.reason);
    expect(requests).toHaveLength(1);
  });

  it('does not repeat what may have been published, or what cannot succeed', async () => {
    for (const [answer, expected] of [
      [[503, { 'retry-after': '1' }, { outcome: 'unknown' }], { outcome: 'unknown' }],
      [[503, { 'retry-after': '1' }, LIMITED], { outcome: 'not-sent' }],
      [[502, {}, 'not JSON, from a proxy'], { outcome: 'unknown' }],
      [[401, {}, { error: { code: 'unauthorized' } }], { message: 'HTTP 401 unauthorized' }],
    ] as const) {
      const { publisher, requests } = await start([answer]);
      await expect(publisher.publish(X, TERMS)).rejects.toMatchObject(expected);
      expect(requests).toHaveLength(1);
    }
  });
});

/** A service that gives the answers in turn, and the last one from then on. */
async function start(
  answers: readonly Answer[],
  options: {
    readonly token?: string;
    readonly signal?: AbortSignal;
    readonly patienceMs?: number;
  } = {},
) {
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const { authorization = '', 'idempotency-key': key = '' } = request.headers;
    requests.push(`${request.url} ${authorization} ${key} ${body}`);
    const [status, headers, answer] = answers[Math.min(requests.length, answers.length) - 1]!;
    response.writeHead(status, headers);
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  opened.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const publisher = createHttpPublisher({
    baseUrl: `http://127.0.0.1:${port}`,
    token: options.token,
    signal: options.signal ?? new AbortController().signal,
    patienceMs: options.patienceMs ?? RATE_LIMIT_PATIENCE_MS,
  });
  return { publisher, requests };
}
