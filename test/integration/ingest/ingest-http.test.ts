import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { readHeader } from '@tradewind/bus';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startRedis, type TestRedis } from '../../support/redis/redis.ts';
import { startIngest } from '../../support/services/service.ts';
import { eventually } from '../../support/suite/wait.ts';

interface Heard {
  readonly channel: string;
  /** The bytes after the header, in Latin 1, so that every byte is one character. */
  readonly payload: string;
}

type TestIngest = Awaited<ReturnType<typeof startIngest>>;

const TRADES = [
  '{"symbol":"ETH","id":"1206419187","ts":1675329600138,"side":"buy","price":"1666.80","size":"26.062"}',
  '{ "symbol" : "BTC", "id":12064191871206419187, "ts":1675329600214,"side":"sell","price":"23671.10","size":"0.10","venue":"Zürich 😀" }',
  '{"symbol":"ETH","id":"1206419188","ts":1675329600228,"side":"sell","price":"1666.79","size":"0.152"}',
];

const NDJSON = { 'content-type': 'application/x-ndjson' };

let redis: TestRedis;
let ingest: TestIngest;
let heard: Heard[];
let subscriber: Redis;

beforeAll(async () => {
  redis = await startRedis();
  ingest = await startIngest({ REDIS_URL: redis.url });
  await untilAvailable();
});
afterAll(async () => {
  await ingest?.stop();
  await redis?.stop();
});

beforeEach(async () => {
  heard = [];
  // If the connection ends during ioredis' own resubscription, that rejects and nobody handles it.
  subscriber = new Redis(redis.port, redis.host, { autoResubscribe: false });
  subscriber.on('error', () => undefined);
  subscriber.on('messageBuffer', (channel: Buffer, payload: Buffer) => {
    const header = readHeader(payload);
    const start = header.kind === 'sequenced' ? header.payloadAt : 0;
    heard.push({
      channel: channel.toString(),
      payload: payload.subarray(start).toString('latin1'),
    });
  });
  // Several tests post the same trades, and Redis would remember their keys.
  await subscriber.flushall();
  await subscriber.subscribe('BTC.trade', 'ETH.trade', 'a/b', 'end');
});
afterEach(() => subscriber.disconnect());

describe('what a subscriber of Redis receives', () => {
  it('is the raw body, byte for byte', async () => {
    const body = '\t{"price": 1.10, "n": 9223372036854775808, "s":"\\u00e9é😀"}\r\n';
    const { status, answer } = await post('/v1/channels/a%2Fb', body);
    expect({ status, answer }).toEqual({
      status: 200,
      answer: { channel: 'a/b', epoch: expect.any(String), offset: 1, duplicate: false },
    });
    expect(await heardUntilEnd()).toEqual([{ channel: 'a/b', payload: latin1(body) }]);
  });

  it('is data as it was written, in the order of the request', async () => {
    const written = [
      ' 1.10',
      '9223372036854775808 ',
      '{"s":"\\u00e9é😀" ,\n"data":[ 1e2 ]}',
      'null',
    ];
    const entries = written.map((data) => `{"d\\u0061ta":${data},"channel":"BTC.trade"}`);
    const { status } = await post('/v1/publish', `[${entries.join(' , ')}]`);
    expect(status).toBe(200);
    const payloads = (await heardUntilEnd()).map(({ payload }) => payload);
    expect(payloads).toEqual(written.map((data) => latin1(data.trim())));
  });

  it('is a thousand lines in their order', async () => {
    const lines = Array.from({ length: 1_000 }, (_, n) => `{"channel":"BTC.trade","data":${n}.0}`);
    const { status, answer } = await post('/v1/publish', lines.join('\n'), NDJSON);
    expect(status).toBe(200);
    expect(answer).toMatchObject({ published: 1_000, failed: 0 });
    const payloads = (await heardUntilEnd()).map(({ payload }) => payload);
    expect(payloads).toEqual(lines.map((_, n) => `${n}.0`));
  });

  it.each([
    ['an array', `[${TRADES.join(',\n')}]`, {}],
    ['lines', `\n${TRADES.join('\r\n')}\r\n`, NDJSON],
  ])('is each trade as it was written in %s', async (_form, body, headers) => {
    const { status } = await post('/v1/trades', body, headers);
    expect(status).toBe(200);
    expect(await heardUntilEnd()).toEqual(
      TRADES.map((trade, index) => ({
        channel: index === 1 ? 'BTC.trade' : 'ETH.trade',
        payload: latin1(trade),
      })),
    );
  });

  it('is the good part of a request, whose answer reports the rest', async () => {
    const { status, answer } = await post('/v1/trades', [TRADES[0], 'x', '{}'].join('\n'), NDJSON);
    expect(status).toBe(207);
    expect(answer).toMatchObject({
      published: 1,
      failed: 2,
      results: [
        { index: 0, channel: 'ETH.trade', duplicate: false },
        { index: 1, error: { code: 'bad_json', retryable: false } },
        { index: 2, error: { code: 'bad_trade', retryable: false } },
      ],
    });
    expect(await heardUntilEnd()).toHaveLength(1);
  });
});

describe('limits', () => {
  it('are reported with the statuses of the table', async () => {
    await using limited = await startIngest({
      REDIS_URL: redis.url,
      INGEST_TOKENS: 'sesame',
      INGEST_MAX_BODY_BYTES: '4096',
      INGEST_MAX_PUBLICATION_BYTES: '100',
      INGEST_MAX_ITEMS: '2',
      INGEST_PUBLICATIONS_PER_SECOND: '2',
    });
    await untilAvailable(limited);
    const allowed = { authorization: 'Bearer sesame' };
    const to = (body: string, headers = allowed) =>
      post('/v1/channels/ETH.trade', body, headers, limited.url);

    expect(await to('x', { authorization: 'Bearer mellon' })).toMatchObject({
      status: 401,
      answer: { error: { code: 'unauthorized', retryable: false } },
    });
    expect(await to('x'.repeat(1_000_000))).toMatchObject({
      status: 413,
      answer: { error: { code: 'message_too_large' } },
    });
    expect(await to('x'.repeat(101))).toMatchObject({
      status: 413,
      answer: { error: { code: 'publication_too_large' } },
    });
    const both = await Promise.all([to('1'), to('2'), to('3'), to('4')]);
    const refused = both.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ retryAfter: '1', answer: { error: { retryable: true } } });
  });
});

describe('a Redis that dies', () => {
  it('costs no acknowledged publication, and nothing stale arrives after it is back', async () => {
    await redis.kill();
    await eventually(async () => (await readiness()).degraded);
    const requests = [
      ['/v1/channels/ETH.trade', 'stale'],
      ['/v1/publish', '{"channel":"ETH.trade","data":"stale"}'],
      ['/v1/trades', TRADES[0] ?? ''],
    ] as const;
    for (const refused of await Promise.all(requests.map(([path, body]) => post(path, body)))) {
      expect(refused).toMatchObject({
        status: 503,
        retryAfter: '1',
        answer: { error: { code: 'unavailable', retryable: true } },
      });
    }
    expect(await readiness()).toEqual({
      ready: true,
      degraded: true,
      reasons: ['redis_unavailable'],
    });

    await redis.restart();
    await untilAvailable();
    await eventually(async () => Number(await subscriber.subscribe('ETH.trade', 'end')) >= 2);
    expect(await subscriber.info('commandstats')).not.toMatch(/cmdstat_(publish|eval)/);
    await post('/v1/channels/ETH.trade', 'fresh');
    expect(await heardUntilEnd()).toEqual([{ channel: 'ETH.trade', payload: 'fresh' }]);
  });

  it('that only stopped answering leaves a doubt, and the answer says so', async () => {
    await redis.freeze();
    try {
      const { status, answer } = await post('/v1/channels/ETH.trade', 'perhaps');
      expect(status).toBe(503);
      expect(answer).toMatchObject({ error: { code: 'unavailable' }, outcome: 'unknown' });
    } finally {
      await redis.thaw();
    }
    await untilAvailable();
  });
});

describe('the end of the service', () => {
  it('lets a request in flight finish, takes no new one, and exits with 0', async () => {
    const service = await startIngest({ REDIS_URL: redis.url });
    try {
      await untilAvailable(service);
      const socket = connect(service.port, '127.0.0.1');
      const answer = text(socket);
      socket.write(
        'POST /v1/channels/ETH.trade HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nla',
      );
      await eventually(
        async () => (await service.metrics()).sum('tradewind_ingest_requests_in_flight') === 1,
      );
      service.signal('SIGTERM');
      await eventually(() => isRefused(service.port));
      socket.write('st');
      expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(await service.exited).toEqual({ code: 0, signal: null });
      expect(await heardUntilEnd()).toEqual([{ channel: 'ETH.trade', payload: 'last' }]);
    } finally {
      await service.stop();
    }
  });

  it('comes after a period in which requests are accepted and the balancer sees it', async () => {
    const service = await startIngest({
      REDIS_URL: redis.url,
      DRAIN_SECONDS: '60',
      DRAIN_ACCEPT_SECONDS: '30',
    });
    try {
      await untilAvailable(service);
      service.signal('SIGTERM');
      await eventually(async () => !(await readiness(service)).ready);
      expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
      const accepted = await post('/v1/channels/ETH.trade', 'while leaving', {}, service.url);
      expect(accepted.status).toBe(200);
      // A second signal skips the wait.
      service.signal('SIGTERM');
      expect(await service.exited).toEqual({ code: 0, signal: null });
    } finally {
      await service.stop();
    }
  });

  it('comes by POST /drain, too', async () => {
    const service = await startIngest({ REDIS_URL: redis.url });
    try {
      const response = await fetch(`${service.adminUrl}/drain`, { method: 'POST' });
      expect(response.status).toBe(202);
      expect(await service.exited).toEqual({ code: 0, signal: null });
    } finally {
      await service.stop();
    }
  });
});

describe('a file of tokens', () => {
  const fileOf = (...entries: readonly (readonly [token: string, channels: string])[]) =>
    JSON.stringify({
      tokens: entries.map(([token, channels]) => ({
        name: token,
        hash: `sha256:${createHash('sha256').update(token).digest('hex')}`,
        channels: [channels],
        rights: ['publish'],
      })),
    });

  it('takes effect again when it changes, and keeps its last good content while it has a mistake', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tradewind-tokens-'));
    const path = join(folder, 'tokens.json');
    async function put(text: string): Promise<void> {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    }
    await put(fileOf(['first', 'ETH.*']));
    await using service = await startIngest({
      REDIS_URL: redis.url,
      INGEST_TOKENS_FILE: path,
    });
    await untilAvailable(service);
    const statusOf = async (token: string, channel = 'ETH.trade') => {
      const headers = { authorization: `Bearer ${token}` };
      return (await post(`/v1/channels/${channel}`, 'x', headers, service.url)).status;
    };
    expect(await statusOf('first')).toBe(200);
    expect(await statusOf('first', 'BTC.trade')).toBe(403);
    expect(await statusOf('second')).toBe(401);

    await put('{"tokens":');
    await service.waitForLine((line) => line.includes('tokens_unreadable') || undefined, 60_000);
    expect(await statusOf('first')).toBe(200);

    await put(fileOf(['second', 'BTC.*']));
    await eventually(async () => (await statusOf('second', 'BTC.trade')) === 200);
    expect(await statusOf('first')).toBe(401);
    await rm(folder, { recursive: true });
  });
});

describe('a start that fails', () => {
  it('reports all mistakes of the environment and ends', async () => {
    const start = startIngest({ REDIS_URL: 'http://x', HOST: '0.0.0.0', LOG_LEVEL: 'loud' });
    await expect(start).rejects.toThrow(/exit code 78/);
    await expect(start).rejects.toThrow(/REDIS_URL: /);
    await expect(start).rejects.toThrow(/INGEST_TOKENS_FILE: must be set/);
    await expect(start).rejects.toThrow(/LOG_LEVEL: "loud"/);
  });

  it('names the setting of a port that is in use', async () => {
    const start = startIngest({ REDIS_URL: redis.url, PORT: String(ingest.port) });
    await expect(start).rejects.toThrow(`port ${ingest.port} is in use; set PORT to another`);
  });
});

async function post(
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  url = ingest.url,
) {
  const response = await fetch(url + path, { method: 'POST', body, headers });
  return {
    status: response.status,
    answer: (await response.json()) as unknown,
    retryAfter: response.headers.get('retry-after'),
  };
}

/** Returns everything received before a last message, which is sent now on the same link as the others. */
async function heardUntilEnd(): Promise<readonly Heard[]> {
  const publisher = new Redis(redis.port, redis.host);
  await publisher.publish('end', 'end');
  publisher.disconnect();
  const isEnd = ({ channel }: Heard): boolean => channel === 'end';
  await eventually(() => heard.some(isEnd));
  return heard.slice(0, heard.findIndex(isEnd));
}

async function readiness(service: TestIngest = ingest) {
  const response = await fetch(`${service.url}/readyz`);
  return (await response.json()) as { readonly ready: boolean; readonly degraded: boolean };
}

async function untilAvailable(service: TestIngest = ingest): Promise<void> {
  await eventually(async () => !(await readiness(service)).degraded, { deadlineMs: 10_000 });
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

function latin1(bytes: string): string {
  return Buffer.from(bytes).toString('latin1');
}
