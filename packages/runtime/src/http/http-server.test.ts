import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { HttpError, sendJson } from './http-error.ts';
import {
  createHttpServer,
  DEFAULT_HTTP_LIMITS,
  type HttpLimits,
  type HttpServer,
} from './http-server.ts';
import type { Route } from './router.ts';

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
  it('is answered with 500 and logged, and the server continues', async () => {
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
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"request_timeout"');
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

  it('close the connection that has waited longest for a request when there are too many', async () => {
    const { port, logged } = await start([get('/a', () => ({}))], { maxPlainConnections: 2 });
    const silent = await connected(port);
    const idle = await connected(port);
    expect(await ask(idle)).toMatch(/^HTTP\/1\.1 200 /);
    const silentGone = once(silent, 'close');
    const third = await connected(port);
    await silentGone;
    expect(await ask(idle)).toMatch(/^HTTP\/1\.1 200 /);
    const thirdGone = once(third, 'close');
    expect(await ask(await connected(port))).toMatch(/^HTTP\/1\.1 200 /);
    await thirdGone;
    expect(await ask(idle)).toMatch(/^HTTP\/1\.1 200 /);
    expect(logged()).toContainEqual(expect.objectContaining({ msg: 'connection_dropped' }));
  });

  it('turn a further connection away while all are being answered, and say so', async () => {
    const release = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    const { port, server } = await start(
      [
        get('/slow', async () => {
          entered.resolve();
          await release.promise;
          return {};
        }),
      ],
      { maxPlainConnections: 1 },
    );
    expect(server.isFull).toBe(false);
    const busy = await connected(port);
    const answered = ask(busy, 'GET /slow HTTP/1.1\r\nhost: x\r\n\r\n');
    await entered.promise;
    expect(server.isFull).toBe(true);
    const further = connect(port, HOST);
    further.on('error', () => undefined);
    await once(further, 'close');
    release.resolve();
    expect(await answered).toMatch(/^HTTP\/1\.1 200 /);
    await expect.poll(() => server.isFull).toBe(false);
  });

  it('close a connection whose peer does not read its answers', async () => {
    const { port, server } = await start(
      [get('/large', () => ({ large: 'x'.repeat(16 * 1024 * 1024) }))],
      { maxPlainConnections: 1 },
    );
    const unread = connect(port, HOST);
    unread.on('error', () => undefined);
    unread.write('GET /large HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(unread, 'readable');
    expect(server.isFull).toBe(false);
    const socket = await connected(port);
    expect(await ask(socket, 'GET /none HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/ 404 /);
    unread.destroy();
  });

  it('do not count sockets that were upgraded', async () => {
    const { port, server } = await start([get('/a', () => ({}))], { maxPlainConnections: 1 });
    server.server.on('upgrade', (_request, socket) => {
      server.upgraded(socket as Socket);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    });
    const upgraded = await connected(port);
    const upgrade = 'GET / HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n';
    expect(await ask(upgraded, upgrade)).toMatch(/^HTTP\/1\.1 101 /);
    expect(await ask(await connected(port))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask(await connected(port))).toMatch(/^HTTP\/1\.1 200 /);
    expect(upgraded.destroyed).toBe(false);
  });

  it('keep one listener of the server, which all share: each byte counts for 40,000', async () => {
    const { port, server } = await start([]);
    const upgraded: Duplex[] = [];
    server.server.on('upgrade', (_request, socket) => {
      upgraded.push(socket);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    });
    const upgrade = 'GET / HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n';
    for (const client of [await connected(port), await connected(port)]) await ask(client, upgrade);
    const [first, second] = upgraded.map((socket) => socket.rawListeners('close'));
    expect(first).toHaveLength(1);
    expect(second?.[0]).toBe(first?.[0]);
  });
});

describe('a body that nobody asked for', () => {
  const LENGTH = 99_999_999_999;
  const BODIES = [
    ['404', 'POST /nothing'],
    ['405', 'POST /a'],
    ['200', 'GET /a'],
    ['413', 'POST /large'],
  ] as const;

  function routes(): readonly Route[] {
    return [
      get('/a', () => ({})),
      {
        method: 'POST',
        path: '/large',
        handler() {
          const row = { status: 413, code: 'message_too_large', message: '', retryable: false };
          throw new HttpError(row);
        },
      },
    ];
  }

  it.each(BODIES)('is answered with %s and not read: %s', async (status, line) => {
    const { port, server } = await start(routes());
    const accepted = once(server.server, 'connection');
    const socket = connect(port, HOST);
    socket.on('error', () => undefined);
    const [connection] = (await accepted) as [Socket];
    const answered = once(socket, 'data');
    socket.write(`${line} HTTP/1.1\r\nhost: x\r\ncontent-length: ${LENGTH}\r\n\r\n`);
    const closed = once(connection, 'close');
    const answer = String((await answered)[0]);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/connection: close\r\n/i);
    const chunk = Buffer.alloc(64 * 1024);
    const sending = setInterval(() => socket.write(chunk), 1);
    await closed;
    clearInterval(sending);
    expect(connection.bytesRead).toBeLessThan(512 * 1024);
    socket.destroy();
  });

  it.each(BODIES)(
    'does not keep a client that sends first from its %s: %s',
    async (status, line) => {
      const { port } = await start(routes());
      const body = 'x'.repeat(60_000);
      const answer = await exchange(
        port,
        `${line} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    },
  );

  it('is not asked for with 100 (Continue) either', async () => {
    const { port } = await start(routes());
    const answer = await exchange(
      port,
      `POST /large HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: ${LENGTH}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('leaves the connection open when there is none', async () => {
    const { port } = await start(routes());
    const socket = await connected(port);
    const none = 'POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n';
    expect(await ask(socket, none)).toMatch(/ 404 /);
    expect(await ask(socket)).toMatch(/ 200 /);
  });
});

describe('other ways to ask', () => {
  it('refuses an expectation that it does not know', async () => {
    const { port } = await start([]);
    const socket = await connected(port);
    const answer = await ask(socket, 'GET / HTTP/1.1\r\nhost: x\r\nexpect: 200-ok\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 417 /);
    expect(answer).toContain('"code":"expectation_failed"');
  });

  it('CONNECT is answered, not cut', async () => {
    const { port } = await start([]);
    const answer = await exchange(port, 'CONNECT other:443 HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
  });

  it.each([
    ['/a', 200],
    ['/a?x#y', 200],
    ['http://other:1/a?x', 200],
    ['HTTPS://other/a', 200],
    ['//a', 404],
    ['/a/', 404],
    ['/%61', 404],
    ['/b/../a', 404],
    ['/./a', 404],
    ['/a;b', 404],
    ['/a#b', 404],
    ['http://other', 404],
    ['ftp://other/a', 404],
    ['/__proto__', 404],
    ['/constructor', 404],
  ])('%s is answered with %i', async (target, status) => {
    const { port } = await start([get('/a', () => ({}))]);
    const answer = await ask(await connected(port), `GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
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
      sendJson(response, 200, await answer(match));
    },
  };
}

const clients: Socket[] = [];
afterEach(() => {
  for (const socket of clients.splice(0)) socket.destroy();
});

/** A connection that the test's end closes. */
async function connected(port: number): Promise<Socket> {
  const socket = connect(port, HOST);
  clients.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** What is answered first. */
async function ask(
  socket: Socket,
  request = 'GET /a HTTP/1.1\r\nhost: x\r\n\r\n',
): Promise<string> {
  const answered = once(socket, 'data');
  socket.write(request);
  return String((await answered)[0]);
}

async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, HOST);
  socket.write(bytes);
  return text(socket);
}
