import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { JSON_SUBPROTOCOL } from '@tradewind/protocol';
import { createLogger, createMetrics } from '@tradewind/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../test/support/suite/wait.ts';
import { readSecret } from '../auth/key-set.ts';
import { rightsTo } from '../auth/rights.ts';
import { makeToken, SECRET } from '../auth/testing/tokens.ts';
import { TokenVerifier } from '../auth/token-verifier.ts';
import type { FanOut } from '../clients/fan-out.ts';
import { TIMEOUT_MS, until } from '../clients/testing/deadline.ts';
import { FakeUpstream } from '../clients/testing/fake-upstream.ts';
import { readEdgeConfig } from '../config/config.ts';
import { ClientListener } from './client-listener.ts';
import { ConnectionCount, createConnectionMemory } from './connection-count.ts';
import type { NodeIdentity } from './identity.ts';

/** Addresses of this machine. The first one is a proxy where a test says so, the others are clients. */
const PROXY = '127.0.0.2';
const CLIENT = '127.0.1.1';
const OTHER = '127.0.1.2';

/** Accepts IPv4 too, whose peers are shown as IPv6. Without IPv6 on this machine it is the IPv4 one. */
const BOTH_FAMILIES = networkInterfaces().lo?.some(({ family }) => family === 'IPv6')
  ? '::'
  : '0.0.0.0';

const HEADER = 'PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n';
const HEALTH = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';
const TOO_MANY = 'HTTP/1.1 429 ';
const ADMITTED = 'HTTP/1.1 101 ';

const ended: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

describe('the address of a client', { timeout: TIMEOUT_MS }, () => {
  it('is that of its connection, whatever it claims', async () => {
    const edge = await start({ EDGE_TRUSTED_PROXIES: PROXY });
    await edge.handshake(CLIENT, 'x-forwarded-for: 203.0.113.7');
    expect(edge.addresses()).toEqual([CLIENT]);
  });

  it('is what trusted proxies say, from the right, over several headers', async () => {
    const edge = await start({ EDGE_TRUSTED_PROXIES: PROXY });
    const headers = ['198.51.100.1', `203.0.113.7:5, ${PROXY}`].map((v) => `X-Forwarded-For: ${v}`);
    await edge.handshake(PROXY, headers.join('\r\n'));
    expect(edge.addresses()).toEqual(['203.0.113.7']);
  });

  it('is the IPv4 address where a socket that accepts both shows it as IPv6', async () => {
    const edge = await start({ EDGE_TRUSTED_PROXIES: '127.0.0.0/24' }, BOTH_FAMILIES);
    await edge.handshake(CLIENT, 'x-forwarded-for: 203.0.113.7');
    await edge.handshake(PROXY, 'x-forwarded-for: 203.0.113.7');
    expect(edge.addresses()).toEqual([CLIENT, '203.0.113.7']);
  });

  it('is that of its connection where nobody said whether there are proxies', async () => {
    const edge = await start({});
    await edge.handshake(CLIENT, 'x-forwarded-for: 203.0.113.7');
    expect(edge.addresses()).toEqual([CLIENT]);
  });
});

describe('the PROXY protocol', { timeout: TIMEOUT_MS }, () => {
  const PROXIED = { EDGE_TRUSTED_PROXIES: PROXY, EDGE_PROXY_PROTOCOL: 'v1' };

  it('names the client, in one segment with its handshake', async () => {
    const edge = await start(PROXIED);
    const client = edge.connect(PROXY);
    client.send(HEADER + upgrade());
    await client.sees(ADMITTED);
    expect(edge.addresses()).toEqual(['203.0.113.7']);
  });

  it('names the client, however it is split over segments', async () => {
    const edge = await start(PROXIED);
    const bytes = HEADER + upgrade();
    const splits = [1, 5, 6, 20, HEADER.length - 1, HEADER.length, HEADER.length + 1];
    for (const at of splits) {
      const client = edge.connect(PROXY);
      await client.sendAndWait(bytes.slice(0, at));
      await client.sendAndWait(bytes.slice(at, at + 2));
      client.send(bytes.slice(at + 2));
      await client.sees(ADMITTED);
    }
    expect(edge.addresses()).toEqual(splits.map(() => '203.0.113.7'));
  });

  it('names an IPv6 client, and what it claims itself is not read', async () => {
    const edge = await start(PROXIED);
    const client = edge.connect(PROXY);
    client.send('PROXY TCP6 2001:DB8::7 fd00::1 51234 443\r\n');
    client.send(upgrade('x-forwarded-for: 198.51.100.1'));
    await client.sees(ADMITTED);
    expect(edge.addresses()).toEqual(['2001:db8::7']);
  });

  it.each([
    ['of a client that is no proxy', CLIENT, HEADER + HEALTH],
    ['behind the one of the proxy', PROXY, HEADER + HEADER + HEALTH],
  ])('is not HTTP where it is forged: %s', async (_what, address, bytes) => {
    const edge = await start(PROXIED);
    const client = edge.connect(address);
    client.send(bytes);
    await client.sees('HTTP/1.1 400 ');
    expect(edge.addresses()).toEqual([]);
  });

  it.each([
    ['is malformed', 'PROXY TCP4 203.0.113.7 10.0.0.1 51234\r\n'],
    ['is too long', `PROXY UNKNOWN ${'x'.repeat(200)}`],
    ['has no end', 'PROXY TCP4 203.0.113.7'],
  ])('ends a connection whose header %s', async (_what, bytes) => {
    const edge = await start(PROXIED);
    const client = edge.connect(PROXY);
    client.send(bytes);
    if (!bytes.includes('\r\n') && bytes.length < 100) client.socket.end();
    await until(() => client.isOver, 'the end');
    expect(client.received).toBe('');
    expect(await edge.metric('tradewind_edge_proxy_headers_refused_total')).toBe(1);
  });

  it.each([
    ['without a header', ''],
    ['with UNKNOWN', 'PROXY UNKNOWN\r\n'],
  ])('lets the proxy speak for itself, as in a health check: %s', async (_what, header) => {
    const edge = await start(PROXIED);
    const check = edge.connect(PROXY);
    check.send(header + HEALTH);
    await check.sees('HTTP/1.1 200 ');
  });

  it('(control) is not HTTP where it is not expected', async () => {
    const edge = await start({ EDGE_TRUSTED_PROXIES: PROXY });
    const client = edge.connect(PROXY);
    client.send(HEADER + upgrade());
    await client.sees('HTTP/1.1 400 ');
  });

  it('leads to the limits of the client’s address', async () => {
    const edge = await start({ ...PROXIED, EDGE_ADDRESS_MAX_CONNECTIONS: '1' });
    const answers: string[] = [];
    for (const source of ['203.0.113.7', '203.0.113.7', '203.0.113.8']) {
      const client = edge.connect(PROXY);
      client.send(`PROXY TCP4 ${source} 10.0.0.1 51234 443\r\n${upgrade()}`);
      await until(() => client.received !== '', 'an answer');
      answers.push(client.received.slice(0, ADMITTED.length));
    }
    expect(answers).toEqual([ADMITTED, TOO_MANY, ADMITTED]);
  });
});

describe('the limits of one address', { timeout: TIMEOUT_MS }, () => {
  const DIRECT = { EDGE_TRUSTED_PROXIES: 'direct' };

  it('hold for its connections, and not for those of another', async () => {
    const edge = await start({ ...DIRECT, EDGE_ADDRESS_MAX_CONNECTIONS: '2' });
    const first = await edge.handshake(CLIENT);
    expect((await edge.handshake(CLIENT)).received).toContain(ADMITTED);
    const refused = await edge.handshake(CLIENT);
    expect(refused.received).toContain(TOO_MANY);
    expect(refused.received).toContain('\r\nretry-after: ');
    expect(refused.received).toContain('"code":"rate_limited"');
    expect((await edge.handshake(OTHER)).received).toContain(ADMITTED);
    expect(await edge.limited('address_connections')).toBe(1);
    first.socket.destroy();
    await until(() => edge.addresses().length === 2, 'its end');
    expect((await edge.handshake(CLIENT)).received).toContain(ADMITTED);
  });

  it('hold for handshakes: some refusals are told, and then connections are reset', async () => {
    const edge = await start({ ...DIRECT, EDGE_ADDRESS_HANDSHAKE_RATE: '1' });
    const answers: string[] = [];
    // A busy machine earns some more meanwhile.
    while (answers.at(-1) !== '' && answers.length < 500) {
      const { received } = await edge.handshake(CLIENT);
      answers.push(received.slice(0, ADMITTED.length));
    }
    const count = (answer: string) => answers.filter((each) => each === answer).length;
    expect(answers.slice(0, 5)).toEqual(Array(5).fill(ADMITTED));
    expect(count(TOO_MANY)).toBeGreaterThanOrEqual(20);
    expect(count('')).toBeGreaterThan(0);
    expect(await edge.limited('address_handshakes')).toBe(count(TOO_MANY) + count(''));
    expect((await edge.handshake(OTHER)).received).toContain(ADMITTED);
  });

  it('hold for connections that are no WebSockets, and count those no longer that are', async () => {
    const edge = await start({ ...DIRECT, HTTP_MAX_CONNECTIONS: '16' });
    const idle = Array.from({ length: 3 }, () => edge.connect(CLIENT));
    await Promise.all(idle.map(({ socket }) => once(socket, 'connect')));
    for (let i = 0; i < 5; i += 1) {
      expect((await edge.handshake(CLIENT)).received).toContain(ADMITTED);
    }
    const last = edge.connect(CLIENT);
    await once(last.socket, 'connect');
    const beyond = edge.connect(CLIENT);
    await until(() => beyond.isOver, 'the reset');
    expect(await edge.limited('address_http_connections')).toBe(1);
    expect((await edge.handshake(OTHER)).received).toContain(ADMITTED);
    last.socket.destroy();
    await eventually(async () => {
      expect((await edge.handshake(CLIENT)).received).toContain(ADMITTED);
    });
  });

  it('count handshakes that a trusted proxy passes on for the clients that it names', async () => {
    const edge = await start({ EDGE_TRUSTED_PROXIES: PROXY, EDGE_ADDRESS_HANDSHAKE_RATE: '1' });
    const behind = (address: string) => edge.handshake(PROXY, `x-forwarded-for: ${address}`);
    const answers: string[] = [];
    while (answers.at(-1)?.includes(TOO_MANY) !== true && answers.length < 50) {
      answers.push((await behind('203.0.113.7')).received);
    }
    expect(answers.at(0)).toContain(ADMITTED);
    expect(answers.at(-1)).toContain(TOO_MANY);
    expect((await behind('203.0.113.8')).received).toContain(ADMITTED);
    // The proxy itself stands for many clients.
    for (let i = 0; i < 8; i += 1)
      expect((await edge.handshake(PROXY)).received).toContain(ADMITTED);
  });

  it('count all addresses of an IPv6 network of 64 bits as one', async () => {
    const edge = await start({ EDGE_TRUSTED_PROXIES: PROXY, EDGE_ADDRESS_MAX_CONNECTIONS: '1' });
    const behind = async (address: string) =>
      (await edge.handshake(PROXY, `x-forwarded-for: ${address}`)).received.slice(0, 13);
    expect(await behind('2001:db8::1')).toBe(ADMITTED);
    expect(await behind('2001:db8::ffff:1')).toBe(TOO_MANY);
    expect(await behind('2001:db8:0:1::1')).toBe(ADMITTED);
  });

  it.each([
    ['of its own', DIRECT, CLIENT, ''],
    [
      'that a proxy names',
      { EDGE_TRUSTED_PROXIES: PROXY, EDGE_PROXY_PROTOCOL: 'v1' },
      PROXY,
      HEADER,
    ],
  ])('are all free again once its connections have ended, however they did: %s', async (...row) => {
    const [, env, source, header] = row;
    const edge = await start({
      ...env,
      EDGE_ADDRESS_MAX_CONNECTIONS: '5',
      EDGE_ADDRESS_HANDSHAKE_RATE: '100000',
      HTTP_MAX_CONNECTIONS: '16',
    });
    const half = Math.floor(upgrade().length / 2);
    const ways: readonly ((peer: Peer) => Promise<void>)[] = [
      async (peer) => void peer.socket.destroy(),
      async (peer) => void peer.socket.resetAndDestroy(),
      async (peer) => void peer.socket.end(),
      async (peer) => await peer.sendAndWait(header.slice(0, 10)),
      async (peer) => await peer.sendAndWait(header + upgrade().slice(0, half)),
      async (peer) => peer.send(`${header}junk\r\n\r\n`),
      async (peer) => peer.send(header + HEALTH),
      async (peer) => peer.send(header + upgrade().replace('/ws', '/other')),
      async (peer) => peer.send(header + upgrade()),
      async (peer) => {
        peer.send(header + upgrade());
        await until(() => peer.received !== '' || peer.isOver, 'an answer');
      },
    ];
    for (let i = 0; i < 30 * ways.length; i += 1) {
      const peer = edge.connect(source);
      const way = ways[(i * 7) % ways.length] as (peer: Peer) => Promise<void>;
      await way(peer);
      if (i % 3 === 0) peer.socket.resetAndDestroy();
      else peer.socket.destroy();
    }
    await until(() => edge.addresses().length === 0, 'the end of all clients');
    await eventually(async () => {
      const clients = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const peer = edge.connect(source);
          peer.send(header + upgrade());
          await until(() => peer.received !== '' || peer.isOver, 'an answer');
          return peer;
        }),
      );
      const admitted = clients.filter(({ received }) => received.includes(ADMITTED));
      if (admitted.length < 4) for (const { socket } of clients) socket.destroy();
      expect(admitted).toHaveLength(4);
    });
  });

  it('leave places to others who have not said who they are', async () => {
    const identity = await identityOfTests();
    const env = { ...DIRECT, WS_MAX_CONNECTIONS: '320' };
    const edge = await start(env, '127.0.0.1', identity);
    const answers: string[] = [];
    for (let i = 0; i < 17; i += 1) answers.push((await edge.handshake(CLIENT)).received);
    expect(answers.filter((answer) => answer.includes(ADMITTED))).toHaveLength(4);
    expect(answers.at(-1)).toContain(TOO_MANY);
    expect(await edge.limited('unidentified')).toBe(13);
    const token = `sec-websocket-protocol: ${JSON_SUBPROTOCOL}, tradewind.token.${await makeToken()}`;
    // Who says at once who it is holds none of these places.
    for (let i = 0; i < 5; i += 1) {
      const other = await edge.handshake(OTHER, token);
      expect(other.received).toContain(ADMITTED);
      await other.sees('"authenticated"');
    }
    expect(edge.addresses()).toHaveLength(9);
  });

  it('are only counted with EDGE_LIMITS=report, but for what is held in memory', async () => {
    const edge = await start({
      ...DIRECT,
      EDGE_ADDRESS_HANDSHAKE_RATE: '1',
      EDGE_LIMITS: 'report',
    });
    for (let i = 0; i < 10; i += 1) {
      expect((await edge.handshake(CLIENT)).received).toContain(ADMITTED);
    }
    expect(await edge.limited('address_handshakes')).toBeGreaterThan(0);
  });

  it('(control) do not hold where nobody said whether there are proxies', async () => {
    const env = { EDGE_ADDRESS_HANDSHAKE_RATE: '1', EDGE_ADDRESS_MAX_CONNECTIONS: '1' };
    const edge = await start(env);
    for (let i = 0; i < 10; i += 1) {
      expect((await edge.handshake(CLIENT)).received).toContain(ADMITTED);
    }
  });
});

function upgrade(headers = ''): string {
  return [
    'GET /ws HTTP/1.1',
    'host: localhost',
    'upgrade: websocket',
    'connection: Upgrade',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(headers === '' ? [] : [headers]),
    '\r\n',
  ].join('\r\n');
}

/** Accepts what `makeToken` makes. */
async function identityOfTests(): Promise<NodeIdentity> {
  const keys = await readSecret(SECRET);
  const rules = { issuer: undefined, audience: undefined, offered: rightsTo(() => true) };
  return {
    verifier: new TokenVerifier(() => keys, rules),
    isRevoked: () => false,
    update() {},
    stop() {},
  };
}

/** A client listener on a free port, with one worker and a hub that the test plays. */
async function start(
  env: Readonly<Record<string, string>>,
  host = '127.0.0.1',
  identity?: NodeIdentity,
) {
  const config = readEdgeConfig({ EDGE_WORKERS: '1', LOG_LEVEL: 'silent', ...env });
  const metrics = createMetrics({ withDefaults: false });
  const upstream = new FakeUpstream();
  const listener = new ClientListener({
    config,
    logger: createLogger({ name: 'edge', level: config.logLevel }),
    metrics,
    identity,
    connectionCount: new ConnectionCount(createConnectionMemory(1), 0),
    connect: (listening) => upstream.connect(listening),
  });
  const port = await listener.listen(host, 0, false);
  ended.push(() => listener.stop());
  const metric = async (name: string, labels: Readonly<Record<string, string>> = {}) => {
    const found = (await metrics.objects()).find((each) => each.name === name);
    const values = (found?.values ?? []) as { value: number; labels: Record<string, string> }[];
    return values
      .filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
  };
  return {
    connect: (localAddress: string) => new Peer(port, localAddress),
    /** Does a handshake and waits for its answer, which is empty if the connection was reset. */
    async handshake(localAddress: string, headers = ''): Promise<Peer> {
      const peer = new Peer(port, localAddress);
      peer.send(upgrade(headers));
      await until(() => peer.received !== '' || peer.isOver, 'an answer or an end');
      return peer;
    },
    /** The addresses of the clients that are connected. */
    addresses: () =>
      [...(upstream.listener as FanOut).connections].map(({ session }) => session.address),
    metric,
    limited: (limit: string) => metric('tradewind_edge_limited_total', { limit }),
  };
}

/** A connection from an address of this machine. */
class Peer {
  readonly socket: Socket;
  received = '';
  isOver = false;

  constructor(port: number, localAddress: string) {
    this.socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
    this.socket.on('data', (bytes) => {
      this.received += bytes.toString('latin1');
    });
    const end = (): void => {
      this.isOver = true;
    };
    this.socket.on('error', end).on('end', end).on('close', end);
    ended.push(() => void this.socket.destroy());
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Sends a segment of its own: resolves once this thread, which is the server's too, has read it. */
  async sendAndWait(text: string): Promise<void> {
    await new Promise((resolve) => this.socket.write(text, 'latin1', resolve));
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async sees(text: string): Promise<void> {
    await until(() => this.received.includes(text) || this.isOver, text);
    expect(this.received).toContain(text);
  }
}
