import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bringOpenssl } from '../../../../test/support/faults/tls-terminator.ts';
import {
  createTestAuthority,
  type TestAuthority,
} from '../../../../test/support/identity/certificates.ts';
import { createLogger } from '../log/logger.ts';
import { sendJson } from './http-error.ts';
import { createHttpServer, DEFAULT_HTTP_LIMITS, type HttpLimits } from './http-server.ts';
import { certificateEndsAt, credentialsFault, type TlsCredentials } from './tls-credentials.ts';

const HOST = '127.0.0.1';
const HAS_OPENSSL = await bringOpenssl();
let authority: TestAuthority | undefined;
let first: TlsCredentials;
let second: TlsCredentials;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  if (!HAS_OPENSSL) return;
  authority = await createTestAuthority();
  [first, second] = await Promise.all([issue('first'), issue('second')]);
});
afterAll(() => authority?.[Symbol.asyncDispose]());
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe.runIf(HAS_OPENSSL)('an HTTP server with a certificate', () => {
  it('answers over TLS, and shows another certificate to those that come after it was told to', async () => {
    const { server, port } = await start();
    const before = await secure(port);
    expect(before.getPeerCertificate().subject.CN).toBe('first');
    server.setTls(second);
    expect((await secure(port)).getPeerCertificate().subject.CN).toBe('second');
    expect(await ask(before), 'who came before is not cut off').toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('closes what speaks no TLS, without an answer', async () => {
    const { port } = await start();
    const plain = open(port);
    let answer = '';
    plain.on('data', (bytes) => {
      answer += bytes.toString('latin1');
    });
    plain.write('GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await once(plain, 'close');
    expect(answer).not.toContain('HTTP/1.1');
  });

  it('closes a handshake that does not come to its end in time', async () => {
    const { port } = await start({ headersTimeoutMs: 200 });
    await once(open(port), 'close');
  });

  it('counts a connection once, from its first byte on, and not when it was upgraded', async () => {
    const { server, port, closed } = await start({ maxPlainConnections: 2 });
    server.server.on('upgrade', (_request, socket) => {
      server.upgraded(socket as Socket);
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      ends.push(() => socket.destroy());
    });
    const [silent, kept] = [open(port), await secure(port)];
    expect(await ask(kept)).toContain('200 OK');
    expect(closed()).toBe(0);
    const gone = once(silent, 'close');
    const upgraded = await secure(port);
    await gone;
    expect(closed(), 'the one whose handshake waited longest').toBe(1);
    upgraded.write(
      'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    );
    await once(upgraded, 'data');
    expect(await ask(await secure(port))).toContain('200 OK');
    expect(await ask(kept)).toContain('200 OK');
    expect(closed()).toBe(1);
    await secure(port);
    expect(closed(), 'control: a third one is too many').toBe(2);
    expect(upgraded.destroyed).toBe(false);
  });

  it('ends all that is left when it closes', async () => {
    const { server, port } = await start();
    const [pending, secured] = [open(port), await secure(port)];
    // A reset is an end, too.
    const gone = Promise.all(
      [pending, secured].map((socket) => {
        socket.on('error', () => undefined);
        return new Promise((resolve) => socket.once('close', resolve));
      }),
    );
    await server.close(0);
    await gone;
  });
});

describe.runIf(HAS_OPENSSL)('credentialsFault', () => {
  it('is none for a certificate and its key', () => {
    expect(credentialsFault(first)).toBeUndefined();
    expect(certificateEndsAt(first)).toBeGreaterThan(Date.now());
  });

  it('says what is needed, and nothing of the key', () => {
    const wrong: TlsCredentials[] = [
      { cert: first.cert, key: second.key },
      { cert: first.key, key: first.key },
      { cert: '', key: '' },
      { cert: first.cert, key: '' },
      { cert: first.cert, key: first.key.slice(0, 200) },
    ];
    for (const credentials of wrong) {
      expect(credentialsFault(credentials)).toMatch(
        /^a certificate and its private key, both PEM, are needed \([\w ]+\)$/,
      );
    }
  });
});

async function issue(name: string): Promise<TlsCredentials> {
  const { certificateFile, keyFile } = await authority!.issue(name, 'DNS:localhost');
  const [cert, key] = await Promise.all([
    readFile(certificateFile, 'utf8'),
    readFile(keyFile, 'utf8'),
  ]);
  return { cert, key };
}

async function start(limits: Partial<HttpLimits> = {}) {
  let closed = 0;
  const server = createHttpServer({
    logger: createLogger({ name: 'test', level: 'silent' }),
    limits: { ...DEFAULT_HTTP_LIMITS, ...limits },
    routes: [
      { method: 'GET', path: '/a', handler: (_request, response) => sendJson(response, 200, {}) },
    ],
    connectionClosed: () => {
      closed += 1;
    },
    tls: first,
  });
  ends.push(() => server.close(0));
  return { server, port: await server.listen(HOST, 0), closed: () => closed };
}

function open(port: number): Socket {
  const socket = connectPlain(port, HOST);
  socket.on('error', () => undefined);
  ends.push(() => socket.destroy());
  return socket;
}

async function secure(port: number): Promise<TLSSocket> {
  const socket = connect({ host: HOST, port, servername: 'localhost', ca: authority!.pem });
  ends.push(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return socket;
}

/** Sends a request, and returns the first bytes of the answer. */
async function ask(socket: TLSSocket): Promise<string> {
  socket.write('GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString('latin1');
}
