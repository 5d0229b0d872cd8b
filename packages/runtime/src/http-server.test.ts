import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { HttpError } from './http-error.ts';
import {
  createHttpServer,
  DEFAULT_HTTP_LIMITS,
  type HttpLimits,
  type HttpServer,
  type Route,
} from './http-server.ts';
import { createLogger } from './logger.ts';

const HOST = '127.0.0.1';
const opened: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((server) => server.close(0)));
});

describe('routes', () => {
  it('are chosen by path and method, without the query', async () => {
    const { url } = await start([
      get('/a', (match) => ({ query: match.query.get('x') })),
      get('/files/*', (match) => ({ rest: match.rest })),
    ]);
    expect(await (await fetch(`${url}/a?x=1`)).json()).toEqual({ query: '1' });
    expect(await (await fetch(`${url}/files/b%2Fc/d?x=1`)).json()).toEqual({ rest: 'b%2Fc/d' });
  });

  it('answer what does not exist with the one error shape', async () => {
    const { url } = await start([get('/files/*', () => ({}))]);
    for (const path of ['/', '/nothing', '/files', '/files/']) {
      const response = await fetch(url + path);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({
        error: { code: 'not_found', message: expect.any(String), retryable: false },
      });
    }
  });

  it('answer another method with 405 and Allow', async () => {
    const { url } = await start([get('/a', () => ({}))]);
    const response = await fetch(`${url}/a`, { method: 'POST', body: 'x' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect(await response.json()).toMatchObject({ error: { code: 'method_not_allowed' } });
  });

  it('answer HEAD like GET, without the body', async () => {
    const { url } = await start([get('/a', () => ({ n: 1 }))]);
    const response = await fetch(`${url}/a`, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe('8');
    expect(await response.text()).toBe('');
  });
});

describe('a handler that throws', () => {
  it('is answered with 500, logged, and the server goes on', async () => {
    const { url, logged } = await start([
      get('/broken', () => {
        throw new Error('a secret of the implementation');
      }),
      get('/fine', () => ({})),
    ]);
    const response = await fetch(`${url}/broken`);
    expect(response.status).toBe(500);
    const body = await response.text();
    expect(body).not.toContain('secret');
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'internal', retryable: true } });
    expect(logged()).toContainEqual(
      expect.objectContaining({ msg: 'request_failed', route: '/broken' }),
    );
    expect((await fetch(`${url}/fine`)).status).toBe(200);
  });

  it('chooses its own answer with HttpError', async () => {
    const { url } = await start([
      get('/busy', () => {
        const row = { status: 429, code: 'rate_limited', message: 'slow down', retryable: true };
        throw new HttpError(row, { 'retry-after': '1' });
      }),
    ]);
    const response = await fetch(`${url}/busy`);
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toEqual({
      error: { code: 'rate_limited', message: 'slow down', retryable: true },
    });
  });
});

describe('a request to upgrade', () => {
  it('is answered as any other when it offers something else than WebSocket', async () => {
    const { port, server } = await start([get('/a', () => ({}))]);
    const upgrades: unknown[] = [];
    server.server.on('upgrade', (request, socket) => {
      upgrades.push(request.headers.upgrade);
      socket.destroy();
    });
    const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c' };
    const request = httpRequest({ host: HOST, port, path: '/a', headers }).end();
    const [response] = await once(request, 'response');
    response.resume();
    expect(response.statusCode).toBe(200);
    expect(upgrades).toEqual([]);
  });

  it('is answered as any other when nobody listens for upgrades', async () => {
    const { port } = await start([get('/a', () => ({}))]);
    const headers = { connection: 'Upgrade', upgrade: 'websocket' };
    const request = httpRequest({ host: HOST, port, path: '/a', headers }).end();
    const [response] = await once(request, 'response');
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it('reaches the listener whatever the case of its WebSocket', async () => {
    const { port, server } = await start([]);
    server.server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 418 Seen\r\n\r\n'));
    const answer = await exchange(
      port,
      'GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 418 /);
  });
});

describe('limits', () => {
  it('answer what is not HTTP, and close', async () => {
    const { port } = await start([]);
    const answer = await exchange(port, 'NOT HTTP\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"bad_message"');
  });

  it('answer a header that is too large', async () => {
    const { port } = await start([]);
    const answer = await exchange(port, `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('"code":"message_too_large"');
  });

  it('end a header that does not come', async () => {
    const { port } = await start([], { headersTimeoutMs: 100, requestTimeoutMs: 100 });
    const answer = await exchange(port, 'GET / HTTP/1.1\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('tell peers how long a connection may be idle, and leave it alone for that long', async () => {
    const limits = { headersTimeoutMs: 100, requestTimeoutMs: 100, keepAliveTimeoutMs: 65_000 };
    const { port } = await start([get('/a', () => ({}))], limits);
    const socket = connect(port, HOST);
    const ask = async (): Promise<string> => {
      socket.write('GET /a HTTP/1.1\r\nhost: x\r\n\r\n');
      return String((await once(socket, 'data'))[0]);
    };
    expect(await ask()).toContain('Keep-Alive: timeout=65\r\n');
    // Node looks for requests that are over time once a second; an idle connection is none.
    await sleep(1_500);
    expect(await ask()).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  it('drop connections beyond their number', async () => {
    const { port, logged } = await start([], { maxConnections: 1 });
    const first = connect(port, HOST);
    await once(first, 'connect');
    const second = connect(port, HOST);
    second.on('error', () => undefined);
    await once(second, 'close');
    expect(logged()).toContainEqual(expect.objectContaining({ msg: 'connection_dropped' }));
    first.destroy();
  });
});

describe('listen', () => {
  it('names the setting to change when the port is in use', async () => {
    const { port } = await start([]);
    const other = create([], {}, 'ADMIN_PORT').server;
    await expect(other.listen(HOST, port)).rejects.toThrow(
      `port ${port} is in use; set ADMIN_PORT to another`,
    );
  });

  it('names the setting to change when the address is not ours', async () => {
    const { server } = create([], {});
    await expect(server.listen('192.0.2.1', 0)).rejects.toThrow(/set HOST to one/);
  });
});

describe('close', () => {
  it('lets a request in flight finish and then closes its connection', async () => {
    const release = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const { url, server } = await start([
      get('/slow', async () => {
        entered.resolve();
        await release.promise;
        return { done: true };
      }),
    ]);
    const response = fetch(`${url}/slow`);
    await entered.promise;
    const closed = server.close(60_000);
    await expect(fetch(`${url}/slow`)).rejects.toThrow();
    release.resolve();
    expect(await (await response).json()).toEqual({ done: true });
    await closed;
  });

  it('destroys what is not done at the deadline, upgraded sockets too', async () => {
    const { port, server } = await start([]);
    server.server.on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    });
    const request = httpRequest({
      host: HOST,
      port,
      headers: { connection: 'Upgrade', upgrade: 'websocket' },
    });
    request.end();
    const [, socket] = await once(request, 'upgrade');
    socket.on('error', () => undefined);
    const gone = once(socket, 'close');
    await server.close(50);
    await gone;
  });

  it('keeps the earliest deadline when it is called again', async () => {
    const entered = Promise.withResolvers<void>();
    const { url, server } = await start([
      get('/endless', () => {
        entered.resolve();
        return new Promise(() => undefined);
      }),
    ]);
    const response = fetch(`${url}/endless`).catch(() => 'cut');
    await entered.promise;
    const closed = server.close(60_000);
    await server.close(0);
    await closed;
    expect(await response).toBe('cut');
  });

  it('may be called again, and before listen', async () => {
    const { server } = create([], {});
    await server.close();
    const started = await start([]);
    await Promise.all([started.server.close(), started.server.close()]);
    await expect(fetch(started.url)).rejects.toThrow();
  });
});

function create(routes: readonly Route[], limits: Partial<HttpLimits>, portSetting = 'PORT') {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const server = createHttpServer({
    logger: createLogger({ name: 'test', level: 'info', destination }),
    routes,
    limits: { ...DEFAULT_HTTP_LIMITS, ...limits },
    portSetting,
  });
  opened.push(server);
  return { server, logged: () => lines.map((line) => JSON.parse(line) as unknown) };
}

async function start(routes: readonly Route[], limits: Partial<HttpLimits> = {}) {
  const created = create(routes, limits);
  const port = await created.server.listen(HOST, 0);
  return { ...created, port, url: `http://${HOST}:${port}` };
}

function get(
  path: string,
  answer: (match: Parameters<Route['handler']>[2]) => unknown | Promise<unknown>,
): Route {
  return {
    method: 'GET',
    path,
    async handler(_request, response, match) {
      const body = JSON.stringify(await answer(match));
      response.writeHead(200, { 'content-length': Buffer.byteLength(body) + 1 });
      response.end(`${body}\n`);
    },
  };
}

async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, HOST);
  socket.write(bytes);
  return text(socket);
}
