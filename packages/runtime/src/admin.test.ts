import { afterEach, describe, expect, it } from 'vitest';
import { createAdmin, healthRoutes, type Readiness } from './admin.ts';
import { sendJson } from './http/http-error.ts';
import { createHttpServer, DEFAULT_HTTP_LIMITS, type HttpServer } from './http/http-server.ts';
import { createLogger } from './log/logger.ts';
import { createMetrics } from './metrics.ts';

const written: string[] = [];
const logger = createLogger({
  ...{ name: 'test', level: 'info' },
  destination: { write: (line) => void written.push(line) },
});
const opened: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.close(0)));
});

describe('createAdmin', () => {
  it('says that the process lives', async () => {
    const { url } = await start({});
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok' });
  });

  it.each([
    [{ ready: true, degraded: false, reasons: [] }, 200],
    [{ ready: true, degraded: true, reasons: ['redis_unavailable'] }, 200],
    [{ ready: false, degraded: false, reasons: ['draining'] }, 503],
  ])('answers /readyz for %j with %d', async (readiness, status) => {
    const { url } = await start({ readiness });
    const response = await fetch(`${url}/readyz`);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual(readiness);
  });

  it('prints the metrics', async () => {
    const { url } = await start({});
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain('process_cpu_seconds_total');
  });

  it('drains on POST, and only on POST', async () => {
    const { url, drains } = await start({});
    expect((await fetch(`${url}/drain`)).status).toBe(405);
    expect(drains()).toBe(0);
    expect((await fetch(`${url}/drain`, { method: 'POST' })).status).toBe(202);
    expect(drains()).toBe(1);
  });

  it('shows /debug/index where there is one', async () => {
    const without = await start({});
    expect((await fetch(`${without.url}/debug/index`)).status).toBe(404);
    const { url } = await start({ debugIndex: () => ({ channels: 3 }) });
    expect(await (await fetch(`${url}/debug/index`)).json()).toEqual({ channels: 3 });
  });

  it('asks for the token everywhere but at the health routes', async () => {
    const { url, drains } = await start({ token: 'sesame', debugIndex: () => ({}) });
    for (const [method, path] of [
      ['GET', '/metrics'],
      ['GET', '/debug/index'],
      ['GET', '/own'],
      ['POST', '/drain'],
    ] as const) {
      const refused = await fetch(url + path, { method });
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toBe('Bearer');
      const headers = { authorization: 'Bearer sesame' };
      expect((await fetch(url + path, { method, headers })).ok).toBe(true);
    }
    expect(drains()).toBe(1);
    const refusals = written.filter((line) => line.includes('"admin_refused"'));
    expect(refusals.map((line) => JSON.parse(line))).toMatchObject(
      ['/metrics', '/debug/index', '/own', '/drain'].map((route) => ({
        ...{ log: 'security', address: '127.0.0.1', route },
      })),
    );
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });
});

describe('healthRoutes', () => {
  it('can be served on a public port', async () => {
    const health = { readiness: () => ({ ready: true, degraded: false, reasons: [] }) };
    const server = createHttpServer({
      logger,
      limits: DEFAULT_HTTP_LIMITS,
      routes: healthRoutes(health),
    });
    opened.push(server);
    const port = await server.listen('127.0.0.1', 0);
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(404);
  });
});

async function start(options: {
  readonly token?: string;
  readonly readiness?: Readiness;
  readonly debugIndex?: () => unknown;
}) {
  let drains = 0;
  const { debugIndex } = options;
  const readiness = options.readiness ?? { ready: true, degraded: false, reasons: [] };
  const admin = createAdmin({
    logger,
    metrics: createMetrics(),
    token: options.token,
    health: { readiness: () => readiness },
    onDrain: () => {
      drains += 1;
    },
    routes: [
      { method: 'GET', path: '/own', handler: (_request, response) => sendJson(response, 200, {}) },
    ],
    ...(debugIndex === undefined ? {} : { debugIndex }),
  });
  opened.push(admin);
  const port = await admin.listen('127.0.0.1', 0);
  return { url: `http://127.0.0.1:${port}`, drains: () => drains };
}
