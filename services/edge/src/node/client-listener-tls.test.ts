import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as secure, type TLSSocket } from 'node:tls';
import { createLogger, createMetrics, type TlsCredentials } from '@tradewind/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bringOpenssl } from '../../../../test/support/faults/tls-terminator.ts';
import {
  createTestAuthority,
  type TestAuthority,
} from '../../../../test/support/identity/certificates.ts';
import type { FanOut } from '../clients/fan-out.ts';
import { TIMEOUT_MS, until } from '../clients/testing/deadline.ts';
import { FakeUpstream } from '../clients/testing/fake-upstream.ts';
import { readEdgeConfig } from '../config/config.ts';
import { ClientListener } from './client-listener.ts';
import { ConnectionCount, createConnectionMemory } from './connection-count.ts';

const HAS_OPENSSL = await bringOpenssl();
const CLIENT = '127.0.1.1';
const PROXY = '127.0.0.2';
const UPGRADE = [
  'GET /ws HTTP/1.1',
  'host: localhost',
  'upgrade: websocket',
  'connection: Upgrade',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

let authority: TestAuthority;
let tls: TlsCredentials;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  if (!HAS_OPENSSL) return;
  authority = await createTestAuthority();
  const { certificateFile, keyFile } = await authority.issue('an edge', 'DNS:localhost');
  const [cert, key] = await Promise.all([certificateFile, keyFile].map((f) => readFile(f, 'utf8')));
  tls = { cert: cert as string, key: key as string };
});
afterAll(() => authority?.[Symbol.asyncDispose]());
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe.runIf(HAS_OPENSSL)('the limits of one address, over TLS', { timeout: TIMEOUT_MS }, () => {
  it('count a connection once: first as none of a client, and then as one of a client', async () => {
    const env = { EDGE_TRUSTED_PROXIES: 'direct', HTTP_MAX_CONNECTIONS: '16' };
    const edge = await start({ ...env, EDGE_ADDRESS_MAX_CONNECTIONS: '6' });
    const answers: string[] = [];
    // One address may have 4 connections that are no clients.
    for (let i = 0; i < 7; i += 1) answers.push(await edge.handshake(CLIENT));
    expect(answers).toEqual([...Array(6).fill('101'), '429']);
    expect(edge.addresses()).toEqual(Array(6).fill(CLIENT));
    edge.dropAll();
    await until(() => edge.addresses().length === 0, 'their end');
    for (let i = 0; i < 6; i += 1) expect(await edge.handshake(CLIENT)).toBe('101');
  });

  it('charge a handshake once', async () => {
    const edge = await start({ EDGE_TRUSTED_PROXIES: 'direct', EDGE_ADDRESS_HANDSHAKE_RATE: '1' });
    const answers: string[] = [];
    // A busy machine earns some more meanwhile.
    while (answers.at(-1) !== '429' && answers.length < 50) {
      answers.push(await edge.handshake(CLIENT));
    }
    expect(answers.slice(0, 5)).toEqual(Array(5).fill('101'));
    expect(answers.at(-1)).toBe('429');
  });

  it('hold for what a proxy names before TLS, in one segment with the handshake', async () => {
    const env = { EDGE_TRUSTED_PROXIES: PROXY, EDGE_PROXY_PROTOCOL: 'v1' };
    const edge = await start({ ...env, EDGE_ADDRESS_MAX_CONNECTIONS: '1' });
    const behind = (address: string) =>
      edge.handshake(PROXY, `PROXY TCP4 ${address} 10.0.0.1 51234 443\r\n`);
    expect(await behind('203.0.113.7')).toBe('101');
    expect(await behind('203.0.113.7')).toBe('429');
    expect(await behind('203.0.113.8')).toBe('101');
    expect(edge.addresses()).toEqual(['203.0.113.7', '203.0.113.8']);
  });
});

/** A client listener with a certificate, one worker and a hub that the test plays. */
async function start(env: Readonly<Record<string, string>>) {
  const config = readEdgeConfig({ EDGE_WORKERS: '1', LOG_LEVEL: 'silent', ...env });
  const upstream = new FakeUpstream();
  const listener = new ClientListener({
    config: { ...config, writes: 'stream' },
    logger: createLogger({ name: 'edge', level: config.logLevel }),
    metrics: createMetrics({ withDefaults: false }),
    connectionCount: new ConnectionCount(createConnectionMemory(1), 0),
    tls,
    connect: (listening) => upstream.connect(listening),
  });
  const port = await listener.listen('127.0.0.1', 0, false);
  ends.push(() => listener.stop());
  const clients: TLSSocket[] = [];
  return {
    /** Returns the status of the answer. `header` precedes the bytes of TLS. */
    async handshake(localAddress: string, header = ''): Promise<string> {
      const socket = connect({ host: '127.0.0.1', port, localAddress });
      await once(socket, 'connect');
      socket.cork();
      if (header !== '') socket.write(header, 'latin1');
      const client = secure({ socket, servername: 'localhost', ca: authority.pem });
      process.nextTick(() => socket.uncork());
      client.on('error', () => undefined);
      ends.push(() => client.destroy());
      clients.push(client);
      await once(client, 'secureConnect');
      client.write(UPGRADE);
      const [answer] = (await once(client, 'data')) as [Buffer];
      return answer.toString('latin1').slice('HTTP/1.1 '.length, 'HTTP/1.1 101'.length);
    },
    dropAll(): void {
      for (const client of clients.splice(0)) client.destroy();
    },
    /** The addresses of the clients that are connected. */
    addresses: () =>
      [...(upstream.listener as FanOut).connections].map(({ session }) => session.address),
  };
}
