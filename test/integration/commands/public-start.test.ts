import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { bringOpenssl } from '../../support/faults/tls-terminator.ts';
import { createTestAuthority, type TestAuthority } from '../../support/identity/certificates.ts';
import { INSPECTABLE, runInWorker, socketsOfWorkers } from '../../support/services/inspector.ts';
import { startEdge, type TestEdge } from '../../support/services/service.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier, type Tier } from '../../support/tier.ts';

/** Nothing listens there: it is not needed for a start that is refused. */
const NO_REDIS = { REDIS_URL: 'redis://127.0.0.1:1' };
const HAS_OPENSSL = await bringOpenssl();

describe('an edge on an address that others reach', () => {
  it('does not start when neither TLS nor tokens were asked for or left out by name, and tells all mistakes', async () => {
    const failure = await startEdge({ ...NO_REDIS, HOST: '0.0.0.0', EDGE_LIMITS: 'maybe' }).then(
      async (edge) => await edge.stop(),
      (error: unknown) => String(error),
    );
    expect(failure).toContain('exit code 78');
    for (const mistake of [
      'EDGE_LIMITS: "maybe" must be one of enforce, report',
      'EDGE_PLAIN_BEHIND_TLS: "false" must be true when HOST ("0.0.0.0") is not loopback',
      'EDGE_AUTH: "" must be one of jwt, none when HOST ("0.0.0.0") is not loopback',
    ]) {
      expect(failure).toContain(mistake);
    }
  });

  it.each([
    [{ HOST: '0.0.0.0', EDGE_AUTH: 'none', EDGE_PLAIN_BEHIND_TLS: 'true' }, true],
    [{ HOST: '127.0.0.1' }, false],
    [{ HOST: '127.0.0.1', EDGE_AUTH: 'none', EDGE_PLAIN_BEHIND_TLS: 'true' }, false],
  ])('warns at each start of what it does without, with %j: %s', async (env, isWarned) => {
    for (let start = 0; start < 2; start += 1) {
      await using edge = await startEdge({ ...NO_REDIS, ...env });
      for (const event of ['identity_off', 'plain_behind_tls']) {
        expect(edge.output.some((line) => line.includes(`"msg":"${event}"`))).toBe(isWarned);
      }
    }
  });
});

describe.runIf(HAS_OPENSSL)('an edge with a certificate', () => {
  let authority: TestAuthority;
  let folder: string;
  const tlsEnv = () => ({
    EDGE_TLS_CERT_FILE: join(folder, 'cert.pem'),
    EDGE_TLS_KEY_FILE: join(folder, 'key.pem'),
  });

  async function useCertificate(name: string): Promise<void> {
    const files = await authority.issue(name, 'DNS:localhost,IP:127.0.0.1');
    const { EDGE_TLS_CERT_FILE, EDGE_TLS_KEY_FILE } = tlsEnv();
    await copyFile(files.keyFile, EDGE_TLS_KEY_FILE);
    await copyFile(files.certificateFile, EDGE_TLS_CERT_FILE);
  }

  beforeAll(async () => {
    authority = await createTestAuthority();
    folder = await mkdtemp(join(tmpdir(), 'public-start-'));
  });
  afterAll(async () => {
    await authority[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  describe.each(shortOrLong([3], [1, 3]))('over %i workers', (workers) => {
    async function startSecure(env: Readonly<Record<string, string>> = {}): Promise<Tier> {
      await useCertificate('first');
      const all = { EDGE_WORKERS: String(workers), ...tlsEnv(), ...env };
      return await startTier({ edges: 1, env: all });
    }
    const urlOf = ({ port }: TestEdge) => `wss://localhost:${port}/ws`;
    const trust = () => ({ ca: authority.pem });

    it('warns of no missing TLS on an address that others reach', async () => {
      await useCertificate('first');
      const env = { HOST: '0.0.0.0', EDGE_AUTH: 'none', EDGE_WORKERS: String(workers) };
      await using edge = await startEdge({ ...NO_REDIS, ...env, ...tlsEnv() });
      expect(edge.output.join('\n')).toContain('"msg":"identity_off"');
      expect(edge.output.join('\n')).not.toContain('plain_behind_tls');
      const listening = edge.output.find((line) => line.includes('"msg":"listening"'));
      expect(JSON.parse(listening ?? '{}')).toMatchObject({ writes: 'stream' });
    });

    it('delivers every publication in order to clients that read, beside one that does not', async () => {
      // The client that does not read must stay, however long the machine takes.
      const env = { EDGE_RING_BYTES: '0', EDGE_SLOW_GRACE_MS: '60000' };
      await using tier = await startSecure(env);
      const [edge] = tier.edges as [TestEdge];
      const clients = await Promise.all(
        Array.from({ length: 6 }, () =>
          TestClient.connect(urlOf(edge), { ...trust(), channels: ['a'] }),
        ),
      );
      await using slow = await TestClient.connect(urlOf(edge), { ...trust(), channels: ['a'] });
      slow.pause();
      const count = 3_000;
      const filling = 'x'.repeat(2_000);
      for (let first = 1; first <= count; first += 100) {
        const batch = tier.backend.pipeline();
        for (let i = first; i < first + 100; i += 1) batch.publish('a', `"${i} ${filling}"`);
        await batch.exec();
        // As fast as they read, and no faster: queues hold 512.
        for (const client of clients) {
          await client.waitFor(() => client.publications.length >= first, 30_000);
        }
      }
      for (const client of clients) {
        await client.waitFor(() => client.publications.length >= count);
        const numbers = client.publications.map(({ data }) => Number.parseInt(data.slice(1), 10));
        expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i + 1));
        expect(client.publications.map(({ seq }) => seq)).toEqual(numbers);
        expect(client.controlsOf('gap')).toEqual([]);
      }
      slow.resume();
      await slow.waitFor(() => slow.controlsOf('gap').length > 0, 30_000);
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    });

    it('closes a client that no longer answers, while the kernel takes all that it is sent', async () => {
      const env = { EDGE_PING_SECONDS: '1', EDGE_PONG_SECONDS: '2' };
      await using tier = await startSecure(env);
      const [edge] = tier.edges as [TestEdge];
      const options = { ...trust(), channels: ['a'] };
      await using living = await TestClient.connect(urlOf(edge), options);
      await using dead = await TestClient.connect(urlOf(edge), options);
      dead.pause();
      const publishing = setInterval(() => {
        void tier.backend.pipeline().publish('a', '1').publish('a', '2').exec();
      }, 10);
      try {
        const closed = { reason: 'heartbeat_timeout' };
        await eventually(
          async () => (await edge.metrics()).sum('tradewind_edge_disconnects_total', closed) === 1,
          { deadlineMs: 30_000 },
        );
      } finally {
        clearInterval(publishing);
      }
      expect(living.isOpen).toBe(true);
      expect(living.controlsOf('gap')).toEqual([]);
    });

    it('answers health over TLS, and closes what does not speak it', async () => {
      await using tier = await startSecure();
      const [edge] = tier.edges as [TestEdge];
      const secured = await secure(edge.port, authority.pem);
      secured.write('GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
      expect(await textOf(secured)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      await expect(fetch(`http://127.0.0.1:${edge.port}/readyz`)).rejects.toThrow();
      await expect(secure(edge.port, authority.pem, 'TLSv1.1')).rejects.toThrow();
      await using client = await TestClient.connect(urlOf(edge), { ...trust(), channels: ['a'] });
      await tier.backend.publish('a', '1');
      await client.waitFor(() => client.publications.length === 1);
    });

    it('uses a new certificate without a restart, cuts nobody, and keeps the old one when the new is bad', async () => {
      await using tier = await startSecure();
      const [edge] = tier.edges as [TestEdge];
      await using connected = await TestClient.connect(urlOf(edge), {
        ...trust(),
        channels: ['a'],
      });
      const shown = () => shownBy(edge, authority.pem);
      expect(await shown()).toEqual(['first']);

      await writeFile(tlsEnv().EDGE_TLS_CERT_FILE, 'no certificate');
      await edge.waitForLine(isEvent('certificate_unusable'), 20_000);
      expect(await shown()).toEqual(['first']);

      await useCertificate('second');
      await eventually(async () => (await shown()).join() === 'second', {
        deadlineMs: 20_000,
      });
      const key = await readFile(tlsEnv().EDGE_TLS_KEY_FILE, 'utf8');
      await eventually(() => edge.output.filter(isEvent('certificate_read')).length === 2);
      const log = edge.output.join('\n');
      expect(log).not.toContain(key.split('\n')[1]);
      await tier.backend.publish('a', '1');
      await connected.waitFor(() => connected.publications.length === 1);
    });
  });

  it('gives a worker that is replaced the certificate that counts, whatever the files hold by then', async () => {
    await useCertificate('first');
    const env = { EDGE_WORKERS: '3', ...INSPECTABLE, ...tlsEnv() };
    await using edge = await startEdge({ ...NO_REDIS, ...env });
    await useCertificate('second');
    const isSecond = async () => (await shownBy(edge, authority.pem)).join() === 'second';
    await eventually(isSecond, { deadlineMs: 20_000 });
    await writeFile(tlsEnv().EDGE_TLS_KEY_FILE, 'no key');
    await edge.waitForLine(isEvent('certificate_unusable'), 20_000);
    for (let lost = 1; lost <= 3; lost += 1) {
      // The one that has run for longest.
      await runInWorker(edge, 0, `setTimeout(() => { throw new Error('a fault in the test') })`);
      await eventually(() => edge.output.filter(isEvent('worker_lost')).length === lost);
      await eventually(async () => (await socketsOfWorkers(edge)).length === 3);
    }
    expect(await shownBy(edge, authority.pem)).toEqual(['second']);
  });
});

/** Whose certificate an edge shows to each of twelve connections, which reach all of its workers. */
async function shownBy(edge: TestEdge, ca: string): Promise<string[]> {
  const names = Array.from({ length: 12 }, async () => {
    const socket = await secure(edge.port, ca);
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  });
  return [...new Set(await Promise.all(names))];
}

function isEvent(event: string): (line: string) => true | undefined {
  return (line) => line.includes(`"msg":"${event}"`) || undefined;
}

function secure(port: number, ca: string, maxVersion?: 'TLSv1.1'): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const old = maxVersion && ({ minVersion: 'TLSv1', maxVersion } as const);
    const options = { host: '127.0.0.1', port, servername: 'localhost', ca, ...old };
    const socket = connect(options, () => resolve(socket));
    socket.once('error', reject);
  });
}

async function textOf(socket: TLSSocket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}
