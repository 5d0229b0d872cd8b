import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import {
  createHttpServer,
  createLogger,
  createMetrics,
  DEFAULT_HTTP_LIMITS,
  type HttpServer,
  readConfig,
} from '@tradewind/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { Callers } from '../access/callers.ts';
import type { TokenEntry } from '../access/token-entries.ts';
import { readIngestConfig } from '../config.ts';
import { createEvents } from '../events.ts';
import { registerGauges } from '../gauges.ts';
import { createFakePublisher } from '../publishing/fake-publisher.ts';
import { PublishQueue } from '../publishing/publish-queue.ts';
import { type Admission, createRoutes } from './routes.ts';

const opened: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.close(0)));
});

describe('POST /v1/channels/<channel>', () => {
  it('publishes the body as it is', async () => {
    const { post, publisher } = await start();
    const answer = await post('/v1/channels/BTC%2FUSD.trade', '{"price": 1.10 }\n');
    expect(answer).toMatchObject({
      status: 200,
      body: { channel: 'BTC/USD.trade', epoch: 'e', offset: 1, duplicate: false },
    });
    expect(publisher.published).toEqual(['BTC/USD.trade {"price": 1.10 }\n']);
  });

  it('does not acknowledge what Redis did not accept', async () => {
    const { post, publisher } = await start();
    publisher.failFrom(1, new RedisUnavailableError('not-sent', 'down'));
    const answer = await post('/v1/channels/c', 'x');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(answer.body).toEqual({
      error: { code: 'unavailable', message: expect.any(String), retryable: true },
    });
  });

  it('says so when it cannot know', async () => {
    const { post, publisher } = await start();
    publisher.failFrom(1, new RedisUnavailableError('unknown', 'cut'));
    const { body } = await post('/v1/channels/c', 'x');
    expect(body).toMatchObject({ error: { code: 'unavailable' }, outcome: 'unknown' });
  });

  it('publishes nothing twice for one key, and says where it was published', async () => {
    const { post, publisher } = await start();
    const key = { 'idempotency-key': '"7c4f"' };
    await post('/v1/channels/c', 'x', key);
    await post('/v1/channels/c', 'other');
    const { status, body } = await post('/v1/channels/c', 'x', key);
    expect(status).toBe(200);
    expect(body).toEqual({ channel: 'c', epoch: 'e', offset: 1, duplicate: true });
    expect(publisher.published).toEqual(['c x', 'c other']);
    expect(await post('/v1/channels/c', 'x', { 'idempotency-key': 'a b' })).toMatchObject({
      status: 400,
      body: { error: { code: 'bad_idempotency_key' } },
    });
  });

  it('sends again what may have been published, with the same key, and answers as if nothing was', async () => {
    const { post, publisher, queue } = await start({ INGEST_MAX_AGE_MS: '5000' });
    publisher.failFrom(1, new RedisUnavailableError('unknown', 'cut'), { executed: true });
    const answer = post('/v1/channels/c', 'x');
    await expect.poll(() => publisher.calls).toBe(1);
    publisher.recover();
    queue.resume();
    expect(await answer).toMatchObject({ status: 200, body: { offset: 1, duplicate: false } });
    expect(publisher.published).toEqual(['c x']);
  });

  it.each([
    ['OOM command not allowed', 'storage_full'],
    ['TWLATE it is 5 ms later than allowed', 'too_late'],
  ])('answers %s with 503 %s', async (reply, code) => {
    const { post, publisher } = await start();
    publisher.failFrom(1, new RedisRefusedError(reply));
    const answer = await post('/v1/channels/c', 'x');
    expect(answer).toMatchObject({ status: 503, body: { error: { code, retryable: true } } });
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it.each([
    ['/v1/channels/%21', 400, 'bad_channel'],
    ['/v1/channels/%', 400, 'bad_channel'],
    ['/v1/channels/tw:x', 403, 'reserved_channel'],
    ['/v1/channels/', 404, 'not_found'],
  ])('answers %s with %d %s', async (path, status, code) => {
    const { post } = await start();
    expect(await post(path, 'x')).toMatchObject({ status, body: { error: { code } } });
  });
});

describe('POST /v1/publish', () => {
  it('publishes one, many, or one a line, each as it was written', async () => {
    const { post, publisher } = await start();
    const one = await post('/v1/publish', '{"channel":"a","data":1.10}');
    expect(one.body).toEqual({
      published: 1,
      failed: 0,
      results: [{ index: 0, channel: 'a', epoch: 'e', offset: 1, duplicate: false }],
    });
    await post('/v1/publish', '[{"channel":"b","data":[ 1 ]},{"data":"\\u00e9","channel":"c"}]');
    await post('/v1/publish', '{"channel":"d","data":1}\n{"channel":"e","data":2}\n', {
      'content-type': 'application/x-ndjson',
    });
    expect(publisher.published).toEqual(['a 1.10', 'b [ 1 ]', 'c "\\u00e9"', 'd 1', 'e 2']);
  });

  it('answers 207 when only some were published', async () => {
    const { post } = await start();
    const { status, body } = await post(
      '/v1/publish',
      '[{"channel":"a","data":1},{"channel":"!","data":1},{"channel":"b","data":1}]',
    );
    expect(status).toBe(207);
    expect(body).toEqual({
      published: 2,
      failed: 1,
      results: [
        { index: 0, channel: 'a', epoch: 'e', offset: 1, duplicate: false },
        {
          index: 1,
          error: { code: 'bad_channel', message: expect.any(String), retryable: false },
        },
        { index: 2, channel: 'b', epoch: 'e', offset: 1, duplicate: false },
      ],
    });
  });

  it('answers with the failure when none was published', async () => {
    const { post, publisher } = await start();
    const bad = await post('/v1/publish', '[{"channel":"!","data":1},{"channel":"?","data":1}]');
    expect(bad).toMatchObject({
      status: 400,
      body: { error: { code: 'bad_channel' }, published: 0, failed: 2 },
    });
    publisher.failFrom(1, new RedisUnavailableError('not-sent', 'down'));
    const mixed = await post('/v1/publish', '[{"channel":"!","data":1},{"channel":"a","data":1}]');
    expect(mixed).toMatchObject({ status: 503, body: { error: { code: 'unavailable' } } });
    expect(mixed.headers.get('retry-after')).toBe('1');
  });
});

describe('POST /v1/trades', () => {
  it('publishes trades on the channels of their symbols, each as it was written', async () => {
    const { post, publisher } = await start();
    const trade = '{"symbol":"ETH","id":7,"ts":1,"side":"buy","price":"1.50","size":"2", "x":1e2}';
    const { status, body } = await post('/v1/trades', `[ ${trade} ,{"symbol":"ETH"}]`);
    expect(status).toBe(207);
    expect(body).toMatchObject({ results: [{ index: 0 }, { error: { code: 'bad_trade' } }] });
    expect(publisher.published).toEqual([`ETH.trade ${trade}`]);
  });
});

describe('idempotency keys of many', () => {
  it('stand in each entry of /v1/publish', async () => {
    const { post, publisher } = await start();
    const entry = '{"channel":"a","data":1,"idempotencyKey":"k"}';
    const { body } = await post('/v1/publish', `[${entry},${entry},{"channel":"a","data":2}]`);
    expect(body).toMatchObject({
      published: 3,
      results: [
        { offset: 1, duplicate: false },
        { offset: 1, duplicate: true },
        { offset: 2, duplicate: false },
      ],
    });
    expect(publisher.published).toEqual(['a 1', 'a 2']);
  });

  it('are made of source and id for trades', async () => {
    const { post, publisher } = await start();
    const trade = (more: string) =>
      `{"symbol":"ETH","id":7,"ts":1,"side":"buy","price":"1","size":"2"${more}}`;
    await post('/v1/trades', `[${trade('')},${trade(',"venue":"kraken"')}]`);
    await post('/v1/trades', trade(''), { 'idempotency-source': 'feed-a' });
    expect(publisher.asked.map(({ key }) => key)).toEqual(['http:7', 'kraken:7', 'feed-a:7']);
  });

  it.each(['/v1/publish', '/v1/trades'])('are no header of %s', async (path) => {
    const { post, publisher } = await start();
    const answer = await post(path, '{}', { 'idempotency-key': 'k' });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'bad_idempotency_key' } } });
    expect(publisher.calls).toBe(0);
  });
});

describe('limits', () => {
  it('refuse a body that says that it is too large, and one that turns out to be', async () => {
    const { post, port, publisher } = await start({ INGEST_MAX_BODY_BYTES: '70000' });
    const large = 'x'.repeat(3_000_000);
    expect(await post('/v1/channels/c', large)).toMatchObject({
      status: 413,
      body: { error: { code: 'message_too_large' } },
    });
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /v1/channels/c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    for (let sent = 0; sent < 5; sent += 1) socket.write(`4e20\r\n${'x'.repeat(20_000)}\r\n`);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
    expect(publisher.calls).toBe(0);
  });

  it('cut off a peer that goes on sending what was refused', async () => {
    const { port } = await start({ INGEST_MAX_BODY_BYTES: '70000' });
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('POST /v1/channels/c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    function send(): void {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('drain', send);
    socket.resume();
    send();
    await expect.poll(() => socket.destroyed, { timeout: 5_000 }).toBe(true);
  });

  it('take a chunked body', async () => {
    const { port, publisher } = await start();
    const socket = connect(port, '127.0.0.1');
    socket.end(
      'POST /v1/channels/c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n' +
        'transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n',
    );
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 /);
    expect(publisher.published).toEqual(['c abc']);
  });

  it('refuse a compressed body instead of publishing it', async () => {
    const { post } = await start();
    const answer = await post('/v1/channels/c', 'x', { 'content-encoding': 'gzip' });
    expect(answer).toMatchObject({
      status: 415,
      body: { error: { code: 'unsupported_media_type' } },
    });
  });

  it.each([
    ['text/plain; charset=utf-16', 415],
    ['application/json;charset="ISO-8859-1"', 415],
    ['application/json; charset=UTF-8', 200],
    ['text/plain;charset="utf8"', 200],
    ['text/plain; format=flowed; charset=us-ascii', 200],
  ])('take only UTF-8, whatever else is declared: %s', async (contentType, status) => {
    const { post } = await start();
    const answer = await post('/v1/channels/c', '1', { 'content-type': contentType });
    expect(answer.status).toBe(status);
  });

  it.each([
    ['content-type', 'text/plain', '/v1/channels/c'],
    ['idempotency-key', 'a', '/v1/channels/c'],
    ['idempotency-source', 'a', '/v1/trades'],
  ])('refuse a %s that is there twice', async (name, value, path) => {
    const { port } = await start();
    const header = `${name}: ${value}\r\n`;
    const answer = await exchange(
      port,
      `POST ${path} HTTP/1.1\r\nhost: x\r\n${header}${header}content-length: 1\r\n\r\nx`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain(`${name} is there 2 times`);
  });

  it('ask for a body with 100 (Continue) only if it is wanted', async () => {
    const { port } = await start({ INGEST_MAX_BODY_BYTES: '70000' });
    const head =
      'POST /v1/channels/c HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\n';
    const refused = await exchange(port, `${head}content-length: 70001\r\n\r\n`);
    expect(refused).toMatch(/^HTTP\/1\.1 413 /);
    const socket = connect(port, '127.0.0.1');
    socket.write(`${head}content-length: 2\r\n\r\n`);
    const [continued] = await once(socket, 'data');
    expect(String(continued)).toMatch(/^HTTP\/1\.1 100 /);
    socket.write('xy');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('end a body that does not come, and keep its place for others', async () => {
    const { port, post } = await start({ INGEST_MAX_IN_FLIGHT: '1' });
    const slow = exchange(
      port,
      'POST /v1/channels/c HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nx',
    );
    const answer = await slow;
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"request_timeout"');
    expect((await post('/v1/channels/c', 'x')).status).toBe(200);
  });

  it('leave places to other tokens when one has all that it may', async () => {
    const { port, post, admission } = await start({
      INGEST_TOKENS: 'one,two',
      INGEST_MAX_IN_FLIGHT: '4',
    });
    const slow = Array.from({ length: 3 }, () => connect(port, '127.0.0.1'));
    for (const socket of slow) {
      socket.on('error', () => undefined);
      socket.write(
        'POST /v1/channels/c HTTP/1.1\r\nhost: x\r\nauthorization: Bearer one\r\ncontent-length: 9\r\n\r\nx',
      );
    }
    await expect.poll(() => admission.requestsInFlight).toBe(2);
    expect((await post('/v1/channels/c', 'x', { authorization: 'Bearer one' })).status).toBe(429);
    expect((await post('/v1/channels/c', 'x', { authorization: 'Bearer two' })).status).toBe(200);
    for (const socket of slow) socket.destroy();
  });

  it('refuse a payload that is too large by itself', async () => {
    const { post } = await start({ INGEST_MAX_PUBLICATION_BYTES: '4' });
    const answer = await post(
      '/v1/publish',
      '[{"channel":"a","data":"xy"},{"channel":"a","data":"xyz"}]',
    );
    expect(answer).toMatchObject({
      status: 207,
      body: { results: [{ offset: 1 }, { error: { code: 'publication_too_large' } }] },
    });
    expect((await post('/v1/channels/c', '12345')).status).toBe(413);
  });

  it('refuse more publications than the rate allows, all or nothing', async () => {
    const { post, publisher } = await start({
      INGEST_PUBLICATIONS_PER_SECOND: '1',
      INGEST_MAX_ITEMS: '2',
    });
    const two = '[{"channel":"a","data":1},{"channel":"a","data":2}]';
    expect((await post('/v1/publish', two)).status).toBe(200);
    const answer = await post('/v1/publish', two);
    expect(answer).toMatchObject({
      status: 429,
      body: { error: { code: 'rate_limited', retryable: true } },
    });
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(publisher.calls).toBe(2);
  });

  it('say 503 and spend nothing of the rate while Redis is away', async () => {
    const { post, publisher } = await start({
      INGEST_PUBLICATIONS_PER_SECOND: '1',
      INGEST_MAX_ITEMS: '1',
    });
    publisher.goDown();
    for (let i = 0; i < 5; i += 1) {
      const answer = await post('/v1/channels/c', 'x');
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('1');
    }
  });

  it('say when to come back with the part that may succeed then', async () => {
    const { post, publisher } = await start();
    publisher.failFrom(2, new RedisUnavailableError('not-sent', 'down'));
    const two = '[{"channel":"a","data":1},{"channel":"a","data":2}]';
    const answer = await post('/v1/publish', two);
    expect(answer.status).toBe(207);
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it('refuse more requests in flight than allowed, and take the next when one is done', async () => {
    const { post, port, admission } = await start({ INGEST_MAX_IN_FLIGHT: '1' });
    const first = connect(port, '127.0.0.1');
    first.write('POST /v1/channels/c HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nx');
    await expect.poll(() => admission.requestsInFlight).toBe(1);
    expect((await post('/v1/channels/c', 'y')).status).toBe(429);
    first.write('x');
    const [answer] = await once(first, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
    first.destroy();
    expect((await post('/v1/channels/c', 'z')).status).toBe(200);
  });

  it('let a request that waits for Redis hold up no other, until the queue is full', async () => {
    const { post, publisher, queue, metrics } = await start({
      INGEST_MAX_IN_FLIGHT: '1',
      INGEST_MAX_ITEMS: '2',
      INGEST_QUEUE_ITEMS: '2',
      INGEST_MAX_AGE_MS: '60000',
    });
    publisher.goDown();
    const first = post('/v1/channels/c', 'x');
    await expect.poll(() => queue.state.publications).toBe(1);
    const second = post('/v1/channels/c', 'y');
    await expect.poll(() => queue.state.publications).toBe(2);
    const refused = await post('/v1/channels/c', 'z');
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'unavailable' } } });
    expect(refused.headers.get('retry-after')).toBe('1');
    const lines = await metrics.text();
    expect(lines).toContain('tradewind_ingest_queue_publications 2');
    expect(lines).toContain('tradewind_ingest_queue_bytes 2');
    expect(lines).toMatch(/tradewind_ingest_queue_oldest_seconds 0\.\d/);
    expect(lines).toContain('tradewind_ingest_queue_full_total 1');
    publisher.recover();
    queue.resume();
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(200);
    expect(publisher.published).toEqual(['c x', 'c y']);
  });

  it('let in nobody without a token', async () => {
    const { post, publisher } = await start({ INGEST_TOKENS: 'one,two' });
    for (const path of ['/v1/channels/c', '/v1/publish', '/v1/trades']) {
      const refused = await post(path, 'x', { authorization: 'Bearer three' });
      expect(refused).toMatchObject({ status: 401, body: { error: { code: 'unauthorized' } } });
      expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect(publisher.calls).toBe(0);
    const accepted = await post('/v1/channels/c', 'x', { authorization: 'Bearer two' });
    expect(accepted.status).toBe(200);
  });
});

describe('tokens with rights', () => {
  const hashOf = (token: string) => createHash('sha256').update(token).digest('hex');

  function entry(token: string, changes: Partial<TokenEntry> = {}): TokenEntry {
    const everything = { channels: ['*'], rights: ['publish'], rates: {} } as const;
    return { name: token, hash: hashOf(token), ...everything, ...changes };
  }

  async function startWith(entries: readonly TokenEntry[], environment = {}) {
    const started = await start({ INGEST_TOKENS: 'old', ...environment });
    started.callers.replace(entries);
    const as = (token: string) => ({ authorization: `Bearer ${token}` });
    return { ...started, as };
  }

  it('refuse a channel outside of the patterns, and in a batch that item alone', async () => {
    const { post, as, publisher } = await startWith([entry('a', { channels: ['BTC.*'] })]);
    expect(await post('/v1/channels/ETH.trade', 'x', as('a'))).toMatchObject({
      status: 403,
      body: { error: { code: 'channel_not_allowed', retryable: false } },
    });
    const two = '[{"channel":"ETH.trade","data":1},{"channel":"BTC.trade","data":2}]';
    expect(await post('/v1/publish', two, as('a'))).toMatchObject({
      status: 207,
      body: { results: [{ error: { code: 'channel_not_allowed' } }, { channel: 'BTC.trade' }] },
    });
    const trade = '{"symbol":"ETH","id":7,"ts":1,"side":"buy","price":"1","size":"2"}';
    expect(await post('/v1/trades', trade, as('a'))).toMatchObject({ status: 403 });
    expect(publisher.published).toEqual(['BTC.trade 2']);
  });

  it('refuse a token without the right to publish, before its body is read', async () => {
    const { post, as, publisher, metrics } = await startWith([entry('a', { rights: ['revoke'] })]);
    expect(await post('/v1/channels/c', 'x', as('a'))).toMatchObject({
      status: 403,
      body: { error: { code: 'right_missing', retryable: false } },
    });
    expect(publisher.calls).toBe(0);
    expect(await metrics.text()).toContain(
      'tradewind_ingest_rights_missing_total{route="channel"} 1',
    );
  });

  it('refuse a request beyond the rate of its token, and let the others go on', async () => {
    const rates = { publicationsPerSecond: 1 };
    const { post, as, publisher } = await startWith([entry('a', { rates }), entry('b')], {
      INGEST_MAX_ITEMS: '2',
    });
    const two = '[{"channel":"c","data":1},{"channel":"c","data":2}]';
    expect((await post('/v1/publish', two, as('a'))).status).toBe(200);
    const refused = await post('/v1/publish', two, as('a'));
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'rate_limited' } } });
    expect(refused.headers.get('retry-after')).toBe('2');
    for (let i = 0; i < 3; i += 1)
      expect((await post('/v1/publish', two, as('b'))).status).toBe(200);
    expect(publisher.calls).toBe(8);
  });

  it('count bytes of what may be published, and nothing of what is refused', async () => {
    const rates = { bytesPerSecond: 1 };
    const { post, as } = await startWith([entry('a', { rates, channels: ['c'] })], {
      INGEST_MAX_BODY_BYTES: '1024',
      INGEST_MAX_PUBLICATION_BYTES: '1024',
    });
    const large = 'x'.repeat(1_000);
    expect((await post('/v1/channels/d', large, as('a'))).status).toBe(403);
    expect((await post('/v1/channels/c', large, as('a'))).status).toBe(200);
    const refused = await post('/v1/channels/c', large, as('a'));
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(900);
  });

  it('spend nothing of a token when the rate of all requests is reached', async () => {
    const rates = { publicationsPerSecond: 1 };
    const { post, as, callers } = await startWith([entry('a', { rates }), entry('b')], {
      INGEST_PUBLICATIONS_PER_SECOND: '1',
      INGEST_MAX_ITEMS: '4',
    });
    const four = `[${Array.from({ length: 4 }, () => '{"channel":"c","data":1}').join(',')}]`;
    expect((await post('/v1/publish', four, as('b'))).status).toBe(200);
    expect((await post('/v1/publish', four, as('a'))).status).toBe(429);
    const { budget } = callers.find({ headers: as('a') } as unknown as IncomingMessage)!;
    expect(budget.take(performance.now(), 4, 0)).toBeUndefined();
  });
});

describe('while draining', () => {
  it('takes nothing more', async () => {
    const { post, admission } = await start();
    admission.draining = true;
    expect(await post('/v1/channels/c', 'x')).toMatchObject({
      status: 503,
      body: { error: { code: 'draining', retryable: true } },
    });
  });
});

describe('metrics', () => {
  it('count what was accepted and what was not, and forget no request in flight', async () => {
    const { post, metrics } = await start();
    await post('/v1/publish', '[{"channel":"a","data":12},{"channel":"!","data":1}]');
    await post('/v1/channels/c', '');
    await expect
      .poll(() => metrics.text())
      .toContain('tradewind_ingest_requests_total{route="channel",status="400"} 1');
    const lines = await metrics.text();
    expect(lines).toContain('tradewind_ingest_requests_total{route="publish",status="207"} 1');
    expect(lines).toContain('tradewind_ingest_publications_total{route="publish"} 1');
    expect(lines).toContain('tradewind_ingest_publication_bytes_total{route="publish"} 2');
    expect(lines).toContain(
      'tradewind_ingest_publications_failed_total{route="publish",code="bad_channel"} 1',
    );
    expect(lines).toContain('tradewind_ingest_requests_in_flight 0');
  });

  it('count duplicates and what became too old apart', async () => {
    const { post, publisher, metrics } = await start();
    const two = '[{"channel":"a","data":12,"idempotencyKey":"k"},{"channel":"a","data":3}]';
    await post('/v1/publish', two);
    await post('/v1/publish', two);
    publisher.goDown();
    await post('/v1/publish', two);
    const lines = await metrics.text();
    expect(lines).toContain('tradewind_ingest_publications_total{route="publish"} 3');
    expect(lines).toContain('tradewind_ingest_publication_bytes_total{route="publish"} 4');
    expect(lines).toContain('tradewind_ingest_duplicates_total{route="publish"} 1');
    expect(lines).toContain('tradewind_ingest_expired_total{where="queue"} 1');
    expect(lines).toContain(
      'tradewind_ingest_publications_failed_total{route="publish",code="unavailable"} 2',
    );
  });

  it('say of every gauge of this service how it adds up over nodes', async () => {
    const { metrics } = await start();
    const lines = (await metrics.text()).split('\n');
    const gauges = lines.flatMap((line) => /^# TYPE (tradewind_\S+) gauge$/.exec(line)?.[1] ?? []);
    expect(gauges).not.toEqual([]);
    for (const name of gauges) {
      const help = lines.find((line) => line.startsWith(`# HELP ${name} `));
      expect(help).toMatch(/ Aggregate with (sum|min|max)\.$/);
    }
  });

  it('count no success for a peer that left before its answer', async () => {
    const { port, publisher, metrics } = await start();
    const release = publisher.hold();
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /v1/channels/c HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx');
    await expect.poll(() => publisher.calls).toBe(1);
    socket.destroy();
    await expect
      .poll(() => metrics.text())
      .toContain('tradewind_ingest_requests_total{route="channel",status="aborted"} 1');
    release();
    expect(await metrics.text()).not.toContain('status="200"');
  });
});

async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

async function start(environment: Record<string, string> = {}) {
  const {
    limits,
    tokens,
    tokenFile,
    queue: queueLimits,
    publishing,
  } = readConfig(
    { INGEST_MAX_AGE_MS: '100', INGEST_QUEUE_BYTES: '1100000', ...environment },
    readIngestConfig,
  );
  const logger = createLogger({ name: 'test', level: 'silent' });
  const metrics = createMetrics();
  const publisher = createFakePublisher();
  const admission: Admission = { requestsInFlight: 0, draining: false };
  const events = createEvents(logger, metrics, '');
  const queue = new PublishQueue(publisher, { ...queueLimits, ...publishing }, events);
  registerGauges(metrics, {
    requestsInFlight: () => admission.requestsInFlight,
    queue: () => queue.state,
  });
  const largest = { items: limits.maxItems, bytes: limits.maxBodyBytes };
  const callers = new Callers(tokens, tokenFile?.entries, largest);
  const server = createHttpServer({
    logger,
    limits: DEFAULT_HTTP_LIMITS,
    routes: createRoutes({ publisher, queue, events, limits, callers, admission }),
  });
  opened.push(server);
  const port = await server.listen('127.0.0.1', 0);

  async function post(path: string, body: string, headers: Record<string, string> = {}) {
    const url = `http://127.0.0.1:${port}${path}`;
    const response = await fetch(url, { method: 'POST', body, headers });
    const answer = (await response.json()) as unknown;
    return { status: response.status, headers: response.headers, body: answer };
  }
  return { port, post, publisher, queue, admission, metrics, callers };
}
