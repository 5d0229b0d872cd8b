import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { TIMEOUT_MS, until } from '../clients/testing/deadline.ts';
import { FanOutServer } from '../clients/testing/fan-out-server.ts';

describe('acceptUpgrades', { timeout: TIMEOUT_MS }, () => {
  it.each([
    ['/', {}, '404 Not Found', 'not_found'],
    ['/ws/', {}, '404 Not Found', 'not_found'],
    ['/ws', { 'sec-websocket-protocol': 'mqtt, v2' }, '400 Bad Request', 'unsupported_protocol'],
    ['//ws', {}, '404 Not Found', 'not_found'],
    ['/%77s', {}, '404 Not Found', 'not_found'],
    ['/v1/../ws', {}, '404 Not Found', 'not_found'],
    ['/ws;a=b', {}, '404 Not Found', 'not_found'],
    ['http://other', {}, '404 Not Found', 'not_found'],
    ['/ws', { 'sec-websocket-key': 'short' }, '400 Bad Request', 'bad_handshake'],
  ])('refuses %s with %j: %s', async (path, headers, status, code) => {
    await using server = await FanOutServer.start();
    const answer = await handshake(server.port, path, headers);
    expect(answer).toContain(`HTTP/1.1 ${status}\r\n`);
    expect(JSON.parse(bodyOf(answer))).toMatchObject({ error: { code, retryable: false } });
    expect(answer).not.toContain('retry-after');
    expect(server.handshakesRefused).toEqual([code]);
    expect(server.fanOut.connections.size).toBe(0);
  });

  it.each(['12', '8', '25', '7', '', '13, 8', '013'])(
    'answers version %j with 426 and the version that is spoken',
    async (version) => {
      await using server = await FanOutServer.start();
      const answer = await handshake(server.port, '/ws', { 'sec-websocket-version': version });
      expect(answer).toContain('HTTP/1.1 426 Upgrade Required\r\n');
      expect(answer).toContain('\r\nsec-websocket-version: 13\r\n');
      expect(answer).toContain('\r\nconnection: close, Upgrade\r\n');
      expect(server.handshakesRefused).toEqual(['unsupported_version']);
    },
  );

  it.each(['draining', 'node_full'] as const)(
    'answers with 503 and when to come back while the node is %s',
    async (code) => {
      await using server = await FanOutServer.start();
      server.refusal = code;
      const answer = await handshake(server.port, '/ws', {});
      expect(answer).toContain('HTTP/1.1 503 Service Unavailable\r\n');
      expect(answer).toContain('\r\nretry-after: 5\r\n');
      expect(JSON.parse(bodyOf(answer))).toMatchObject({ error: { code, retryable: true } });
      server.refusal = undefined;
      const client = await server.client();
      await until(() => client.messages.length > 0, 'the welcome');
    },
  );

  it.each([
    ['/ws', {}],
    ['/ws?token=x', {}],
    ['http://localhost/ws', {}],
    ['HTTPS://localhost:8443/ws?x=/y', {}],
    ['/ws', { 'sec-websocket-protocol': 'mqtt,tradewind.v1.json' }],
  ])('accepts %s with %j', async (path, headers) => {
    await using server = await FanOutServer.start();
    const answer = await handshake(server.port, path, headers);
    expect(answer).toContain('HTTP/1.1 101 Switching Protocols\r\n');
    const chosen = 'sec-websocket-protocol' in headers;
    expect(/sec-websocket-protocol: tradewind\.v1\.json\r\n/i.test(answer)).toBe(chosen);
  });

  it('takes a token from among the subprotocols, and answers with the protocol alone', async () => {
    const seen: string[] = [];
    const tokens = {
      async verify(token: string) {
        seen.push(token);
        return { code: 'unauthorized', cause: 'key' } as const;
      },
    };
    await using server = await FanOutServer.start({ tokens });
    const offered = 'tradewind.token.aa.bb.cc, tradewind.v1.json';
    const answer = await handshake(server.port, '/ws', { 'sec-websocket-protocol': offered });
    expect(answer).toContain('HTTP/1.1 101 ');
    expect(answer).toMatch(/\r\nsec-websocket-protocol: tradewind\.v1\.json\r\n/i);
    expect(answer).not.toContain('aa.bb.cc');
    expect(seen).toEqual(['aa.bb.cc']);
  });

  it('refuses a token that comes without a protocol', async () => {
    await using server = await FanOutServer.start();
    const offered = { 'sec-websocket-protocol': 'tradewind.token.aa.bb.cc' };
    expect(await handshake(server.port, '/ws', offered)).toContain('unsupported_protocol');
  });

  it.each([
    [{ origin: 'https://app.example' }, 'HTTP/1.1 101'],
    [{ origin: 'http://app.example' }, 'origin_not_allowed'],
    [{ origin: 'https://app.example:8443' }, 'origin_not_allowed'],
    [{ origin: 'https://app.example.evil' }, 'origin_not_allowed'],
    [{ origin: 'HTTPS://app.example' }, 'origin_not_allowed'],
    [{ origin: 'https://app.example/' }, 'origin_not_allowed'],
    [{ origin: 'https://sub.app.example' }, 'origin_not_allowed'],
    [{ origin: 'https://app.example\r\norigin: https://evil.example' }, 'origin_not_allowed'],
    [{ origin: 'https://evil.example\r\norigin: https://app.example' }, 'origin_not_allowed'],
    [{ origin: 'https://app.example https://evil.example' }, 'origin_not_allowed'],
    [{ 'sec-websocket-origin': 'https://app.example' }, 'origin_not_allowed'],
    [{ origin: 'null' }, 'origin_not_allowed'],
    [{ origin: '' }, 'origin_not_allowed'],
    [{}, 'origin_not_allowed'],
  ])(
    'with a list of origins and without tokens, answers %j with %s',
    async (headers: Readonly<Record<string, string>>, expected) => {
      await using server = await FanOutServer.start({}, ['https://app.example']);
      expect(await handshake(server.port, '/ws', headers)).toContain(expected);
    },
  );

  it('lets a client without an origin connect where it needs a token', async () => {
    const tokens = { verify: async () => ({ code: 'unauthorized', cause: 'key' }) as const };
    await using server = await FanOutServer.start({ tokens }, ['https://app.example']);
    expect(await handshake(server.port, '/ws', {})).toContain('HTTP/1.1 101');
    for (const origin of ['https://evil.example', 'null', '']) {
      expect(await handshake(server.port, '/ws', { origin })).toContain('origin_not_allowed');
    }
  });

  it('judges the origin before it looks at a token', async () => {
    const seen: string[] = [];
    const tokens = {
      async verify(token: string) {
        seen.push(token);
        return { code: 'unauthorized', cause: 'key' } as const;
      },
    };
    await using server = await FanOutServer.start({ tokens }, ['https://app.example']);
    const offered = { 'sec-websocket-protocol': 'tradewind.v1.json, tradewind.token.aa.bb.cc' };
    const foreign = { ...offered, origin: 'https://evil.example' };
    const answer = await handshake(server.port, '/ws', foreign);
    expect(answer).toContain('HTTP/1.1 403 ');
    expect(seen).toEqual([]);
    await handshake(server.port, '/ws', { ...offered, origin: 'https://app.example' });
    await until(() => seen.length > 0, 'control: the token of a page that may connect');
  });

  it('declines permessage-deflate, since frames go to the socket as they are', async () => {
    await using server = await FanOutServer.start();
    const client = new WebSocket(server.url, { perMessageDeflate: true });
    await once(client, 'open');
    expect(client.extensions).toBe('');
    client.terminate();
  });

  it('survives a peer that resets while it is being refused', async () => {
    await using server = await FanOutServer.start();
    server.refusal = 'node_full';
    for (let i = 0; i < 20; i += 1) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(request('/ws', {}), () => socket.resetAndDestroy());
    }
    await until(() => server.handshakesRefused.length === 20, 'all refusals');
    expect(await handshake(server.port, '/ws', {})).toContain('HTTP/1.1 503 ');
  });
});

function request(path: string, changed: Readonly<Record<string, string>>): string {
  const headers = { 'sec-websocket-version': '13', ...changed };
  return [
    `GET ${path} HTTP/1.1`,
    'host: localhost',
    'upgrade: websocket',
    'connection: Upgrade',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n');
}

/** Sends an upgrade and returns the answer: all of it when it is an error, else its header. */
async function handshake(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  let ended = false;
  socket.on('data', (bytes) => {
    answer += bytes.toString('latin1');
  });
  socket.on('end', () => {
    ended = true;
  });
  socket.write(request(path, headers));
  await until(() => ended || /^HTTP\/1.1 101 .*\r\n\r\n/s.test(answer), 'the answer');
  socket.destroy();
  return answer;
}

function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}
