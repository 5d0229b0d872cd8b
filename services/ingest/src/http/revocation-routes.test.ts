import { createHash } from 'node:crypto';
import {
  MAX_REVOCATIONS,
  RedisRefusedError,
  RedisUnavailableError,
  type Revocation,
} from '@tradewind/bus';
import {
  createHttpServer,
  createLogger,
  createMetrics,
  DEFAULT_HTTP_LIMITS,
  type HttpServer,
} from '@tradewind/runtime';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Callers } from '../access/callers.ts';
import { createEvents } from '../events.ts';
import { createRevocationRoutes } from './revocation-routes.ts';

const DAY_MS = 86_400_000;

let server: HttpServer;
let port: number;
let revoked: Revocation[];
/** What Redis does with a revocation. */
let answer: () => Promise<number | undefined>;
const admission = { requestsInFlight: 0, draining: false };
const metrics = createMetrics();
const events = createEvents(createLogger({ name: 'test', level: 'silent' }), metrics, '');

beforeEach(async () => {
  revoked = [];
  answer = async () => 3;
  admission.draining = false;
  const entry = (token: string, right: 'publish' | 'revoke') => ({
    ...{ name: `of-${token}`, channels: ['*'], rights: [right], rates: {} },
    hash: createHash('sha256').update(token).digest('hex'),
  });
  const entries = [entry('may', 'revoke'), entry('publishes', 'publish')];
  const callers = new Callers([], entries, { items: 10, bytes: 100 });
  const redis = {
    async revoke(revocation: Revocation) {
      const nodes = await answer();
      revoked.push(revocation);
      return nodes;
    },
  };
  server = createHttpServer({
    logger: createLogger({ name: 'test', level: 'silent' }),
    limits: DEFAULT_HTTP_LIMITS,
    routes: createRevocationRoutes({ redis, callers, events, admission }),
  });
  port = await server.listen('127.0.0.1', 0);
});

afterEach(async () => {
  expect(admission.requestsInFlight).toBe(0);
  await server.close(0);
});

async function post(path: string, body: object | string = '', token = 'may') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

it('disconnects a subject: what was issued so far is revoked for a day', async () => {
  const before = Date.now();
  const { status, body } = await post('/v1/subjects/auth0%7Cu1%2Fx/disconnect');
  const after = Date.now();
  expect(status).toBe(200);
  expect(body).toEqual({ ...revoked[0], nodes: 3 });
  const { subject, issuedBefore = 0, until = 0 } = revoked[0] ?? {};
  expect(subject).toBe('auth0|u1/x');
  expect(issuedBefore).toBeGreaterThan(before / 1_000);
  expect(issuedBefore).toBeLessThanOrEqual(after / 1_000 + 1);
  expect(until).toBeGreaterThanOrEqual(before + DAY_MS);
  expect(until).toBeLessThanOrEqual(after + DAY_MS);
});

it.each<[string, object, Revocation]>([
  ['/v1/subjects/u1/disconnect', { issuedBefore: 7 }, { subject: 'u1', issuedBefore: 7, until: 0 }],
  ['/v1/subjects/u1/disconnect', { blocked: true }, { subject: 'u1', until: 0 }],
  ['/v1/tokens/revoke', { jti: 'j1' }, { tokenId: 'j1', until: 0 }],
  ['/v1/tokens/revoke', { issuedBefore: 7 }, { issuedBefore: 7, until: 0 }],
])('revokes by %s %j', async (path, body, revocation) => {
  const before = Date.now();
  expect((await post(path, { ...body, seconds: 60 })).status).toBe(200);
  const { until = 0 } = revoked[0] ?? {};
  expect(revoked[0]).toEqual({ ...revocation, until });
  expect(until - before).toBeGreaterThanOrEqual(60_000);
  expect(until - before).toBeLessThan(70_000);
});

it.each<[string, object | string, string]>([
  ['/v1/subjects/u1/disconnect', '{', 'bad_json'],
  ['/v1/subjects/u1/disconnect', '[]', 'bad_message'],
  ['/v1/subjects/u1/disconnect', { issued_before: 7 }, 'bad_message'],
  ['/v1/subjects/u1/disconnect', { issuedBefore: '7' }, 'bad_message'],
  ['/v1/subjects/u1/disconnect', { issuedBefore: -1 }, 'bad_message'],
  ['/v1/subjects/u1/disconnect', { issuedBefore: Date.now() }, 'bad_message'],
  ['/v1/tokens/revoke', { issuedBefore: Date.now() }, 'bad_message'],
  ['/v1/subjects/u1/disconnect', { blocked: false }, 'bad_message'],
  ['/v1/subjects/u1/disconnect', { blocked: true, issuedBefore: 7 }, 'bad_message'],
  ['/v1/subjects/u1/disconnect', { seconds: 0 }, 'bad_message'],
  ['/v1/subjects/u1/disconnect', { seconds: 2_592_001 }, 'bad_message'],
  [`/v1/subjects/${'u'.repeat(257)}/disconnect`, {}, 'bad_message'],
  ['/v1/subjects/%ff/disconnect', {}, 'bad_message'],
  ['/v1/subjects/u1', {}, 'not_found'],
  ['/v1/subjects//disconnect', {}, 'not_found'],
  ['/v1/subjects/u1/x/disconnect', {}, 'not_found'],
  ['/v1/tokens/revoke', '', 'bad_message'],
  ['/v1/tokens/revoke', { jti: 'j', issuedBefore: 7 }, 'bad_message'],
  ['/v1/tokens/revoke', { jti: '' }, 'bad_message'],
  ['/v1/tokens/revoke', { jti: 'j'.repeat(257) }, 'bad_message'],
  ['/v1/tokens/revoke', { jti: 'j'.repeat(5_000) }, 'message_too_large'],
])('refuses %s %j with %s', async (path, body, code) => {
  expect(await post(path, body)).toMatchObject({ body: { error: { code } } });
  expect(revoked).toEqual([]);
});

it('needs a token with the right to revoke', async () => {
  for (const [token, status, code] of [
    ['none', 401, 'unauthorized'],
    ['publishes', 403, 'right_missing'],
  ] as const) {
    const refused = await post('/v1/subjects/u1/disconnect', '', token);
    expect(refused).toMatchObject({ status, body: { error: { code } } });
  }
  expect(revoked).toEqual([]);
});

it.each([
  [() => Promise.reject(new RedisUnavailableError('unknown', 'cut')), 503, 'unavailable'],
  [() => Promise.reject(new RedisRefusedError('NOPERM no')), 503, 'unavailable'],
  [() => Promise.reject(new RedisRefusedError('OOM full')), 503, 'storage_full'],
  [async () => undefined, 503, 'storage_full'],
])('does not say that it is done when it is not (%#)', async (fails, status, code) => {
  answer = fails;
  const { body, ...rest } = await post('/v1/subjects/u1/disconnect');
  expect(rest.status).toBe(status);
  expect(body).toMatchObject({ error: { code, retryable: true } });
});

it('refuses while it drains, and says how many there may be', async () => {
  admission.draining = true;
  expect((await post('/v1/subjects/u1/disconnect')).body).toMatchObject({
    error: { code: 'draining' },
  });
  admission.draining = false;
  answer = async () => undefined;
  expect(JSON.stringify((await post('/v1/subjects/u1/disconnect')).body)).toContain(
    `${MAX_REVOCATIONS} revocations`,
  );
  expect(await metrics.text()).toContain('tradewind_ingest_revocations_failed_total');
});
