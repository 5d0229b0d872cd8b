import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { REVOCATION_CHANNEL, writeRevocation } from '@tradewind/bus';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { bringOpenssl } from '../../support/faults/tls-terminator.ts';
import { createTestAuthority, type TestAuthority } from '../../support/identity/certificates.ts';
import { type Claims, hs256, makeToken, nowSeconds, rs256 } from '../../support/identity/tokens.ts';
import { INSPECTABLE, runInWorker } from '../../support/services/inspector.ts';
import { startEdge } from '../../support/services/service.ts';
import { shortOrLong } from '../../support/suite/length.ts';
import { eventually } from '../../support/suite/wait.ts';
import { startTier } from '../../support/tier.ts';

const [known, next, forger] = [1, 2, 3].map(() =>
  generateKeyPairSync('rsa', { modulusLength: 2_048 }),
) as [Keys, Keys, Keys];
type Keys = ReturnType<typeof generateKeyPairSync>;
const jwkOf = ({ publicKey }: Keys, kid: string) => ({
  ...(publicKey as Exclude<Keys['publicKey'], Buffer>).export({ format: 'jwk' }),
  kid,
});

const RSA = { alg: 'RS256', kid: 'known', typ: 'JWT' };
/** Forged tokens a second. `npm test` runs beside other tests, which need a core as well. */
const RATE = shortOrLong(200, 1_000);

/** How long each fault of the issuer lasts while forged tokens come, in ms. */
const FAULT_MS = shortOrLong(1_500, 35_000);

const hasOpenssl = await bringOpenssl();
let authority: TestAuthority;
let server: Server;
let url: string;
let behaviour: 'answers' | 'answers 500' | 'hangs' | 'redirects';
let keys: readonly object[];
/** When each request came, in ms. */
let requests: number[];

beforeAll(async () => {
  if (!hasOpenssl) return;
  authority = await createTestAuthority();
  const files = await authority.issue('localhost', 'DNS:localhost,IP:127.0.0.1');
  const [key, cert] = [readFileSync(files.keyFile), readFileSync(files.certificateFile)];
  requests = [];
  behaviour = 'answers';
  server = createServer({ key, cert }, (_request, response) => {
    requests.push(performance.now());
    if (behaviour === 'hangs') return;
    const status = { answers: 200, 'answers 500': 500, redirects: 302 }[behaviour];
    // What a follower of the redirect would take for the set has the forger's key.
    response.writeHead(status, { location: `${url}/forged` });
    response.end(JSON.stringify({ keys }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
});

afterAll(async () => {
  server?.closeAllConnections();
  server?.close();
  await authority?.[Symbol.asyncDispose]();
});

function environment() {
  return {
    EDGE_WORKERS: '3',
    EDGE_AUTH: 'jwt',
    EDGE_JWKS_URL: url,
    EDGE_JWT_ISSUER: 'https://id.example',
    EDGE_JWT_AUDIENCE: 'tradewind',
    // The flood comes from clients that are connected, and must not end at what one of them may do.
    EDGE_LIMITS: 'report',
    NODE_EXTRA_CA_CERTS: authority.certificateFile,
  };
}

function claims(changes: Claims = {}): Claims {
  const whom = { iss: 'https://id.example', aud: 'tradewind' };
  return { sub: 'u1', exp: nowSeconds() + 600, ...whom, tw: { channels: ['a'] }, ...changes };
}

const signed = (header: object, body: Claims, by = known) =>
  makeToken(header as Claims, body, rs256(by.privateKey as never));

/** What a forger sends, and the code that answers it. */
function forgedTokens(): readonly (readonly [what: string, token: string, code: string])[] {
  const pem = (known.publicKey as Exclude<Keys['publicKey'], Buffer>).export({
    ...{ type: 'spki', format: 'pem' },
  }) as string;
  const refused = (what: string, token: string) => [what, token, 'unauthorized'] as const;
  return [
    refused('bad signature', signed(RSA, claims(), forger)),
    refused('unknown kid', signed({ ...RSA, kid: 'unknown' }, claims(), forger)),
    refused(
      'none',
      makeToken({ alg: 'none' }, claims(), () => Buffer.alloc(0)),
    ),
    refused('the public key as a secret', makeToken({ alg: 'HS256' }, claims(), hs256(pem))),
    refused('jku', signed({ ...RSA, kid: 'f', jku: `${url}/forged` }, claims(), forger)),
    refused('no exp', signed(RSA, claims({ exp: undefined }))),
    refused('aud', signed(RSA, claims({ aud: 'other' }))),
    refused('iss', signed(RSA, claims({ iss: 'https://other.example' }))),
    refused('typ', signed({ ...RSA, typ: 'logout+jwt' }, claims())),
    refused('too large', `${signed(RSA, claims())}${'x'.repeat(8_193)}`),
    ['expired', signed(RSA, claims({ exp: nowSeconds() - 60 })), 'token_expired'],
  ];
}

/** Sends a token and returns the code of the answer, or `authenticated`. */
async function answerTo(client: TestClient, token: string): Promise<string> {
  const id = client.request({ type: 'auth', token });
  const answer = () => client.controls.find((each) => 'id' in each && each.id === id);
  await client.waitFor(() => answer() !== undefined);
  const found = answer();
  client.controls.length = 0;
  return found?.type === 'error' ? found.code : String(found?.type);
}

describe.runIf(hasOpenssl)('keys from a URL', () => {
  it(`refuses forged tokens at ${RATE} a second, each with its code, and fetches at most once in 30 s`, {
    timeout: 120_000 + 4 * FAULT_MS,
  }, async () => {
    keys = [jwkOf(known, 'known')];
    await using stack = new AsyncDisposableStack();
    const tier = stack.use(await startTier({ edges: 1, env: environment() }));
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    const good = signed(RSA, claims());
    const clients = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const client = stack.use(await TestClient.connect(edge.wsUrl));
        expect(await answerTo(client, good)).toBe('authenticated');
        // A client that asks for nothing is closed as silent.
        await client.subscribe(['a']);
        return client;
      }),
    );
    const forged = forgedTokens();
    const startedAt = performance.now();
    const wrong: string[] = [];
    let sent = 0;

    /** Sends forged tokens over one connection, each after the answer to the one before. */
    async function forge(client: TestClient, until: number): Promise<void> {
      const begunAt = performance.now();
      for (let i = 0; performance.now() < until; i += 1) {
        const [what, token, code] = forged[sent % forged.length] as (typeof forged)[0];
        sent += 1;
        const answer = await answerTo(client, token);
        if (answer !== code) wrong.push(`${what}: ${answer}`);
        const dueAt = begunAt + ((i + 1) * 1_000 * clients.length) / RATE;
        await sleep(Math.max(0, dueAt - performance.now()));
      }
    }

    for (const fault of ['answers', 'answers 500', 'hangs', 'redirects'] as const) {
      behaviour = fault;
      const until = performance.now() + FAULT_MS;
      await Promise.all(clients.map((client) => forge(client, until)));
      const fresh = signed(RSA, claims({ jti: fault }));
      expect(await answerTo(clients[0] as TestClient, fresh)).toBe('authenticated');
    }
    expect(wrong).toEqual([]);
    const seconds = (performance.now() - startedAt) / 1_000;
    console.log(
      `${Math.round(sent / seconds)} forged tokens a second for ${seconds.toFixed(1)} s, ${requests.length} fetches`,
    );
    expect(sent / seconds).toBeGreaterThan(RATE / 4);
    expect(requests.length).toBeLessThanOrEqual(2 + seconds / 30);

    // A key that was not known becomes known, because a token names it.
    behaviour = 'answers';
    keys = [jwkOf(known, 'known'), jwkOf(next, 'next')];
    const rotated = signed({ ...RSA, kid: 'next' }, claims(), next);
    await eventually(
      async () => (await answerTo(clients[1] as TestClient, rotated)) === 'authenticated',
      { deadlineMs: 60_000 },
    );
    for (const client of clients) {
      await eventually(async () => (await answerTo(client, rotated)) === 'authenticated');
    }
    const intervals = requests.slice(1).map((at, i) => at - (requests[i] as number));
    expect(Math.min(...intervals)).toBeGreaterThan(29_000);
  });

  it('is not ready without keys, says why, and blames no client', async () => {
    behaviour = 'answers 500';
    await using tier = await startTier({ edges: 0 });
    await using edge = await startEdge({ ...environment(), REDIS_URL: tier.redis.url });
    await edge.waitForLine((line) => line.includes('the status is 500') || undefined, 30_000);
    await eventually(async () => {
      const { reasons } = (await (await fetch(`${edge.url}/readyz`)).json()) as {
        readonly reasons: readonly string[];
      };
      return reasons.length === 1 && reasons[0] === 'no_keys_yet';
    });
    const client = await TestClient.connect(edge.wsUrl);
    client.request({ type: 'auth', token: signed(RSA, claims()) });
    expect((await client.closed).code).toBe(1011);
    expect(client.controlsOf('error')).toMatchObject([{ code: 'unavailable', retryable: true }]);
  });

  it.each([1, 2])('brings the keys to %i workers', async (workers) => {
    behaviour = 'answers';
    keys = [jwkOf(known, 'known')];
    const env = { ...environment(), EDGE_WORKERS: String(workers) };
    await using tier = await startTier({ edges: 1, env });
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    for (let i = 0; i < 8; i += 1) {
      await using client = await TestClient.connect(edge.wsUrl);
      expect(await answerTo(client, signed(RSA, claims()))).toBe('authenticated');
    }
  });

  it('gives workers that are replaced the keys and the revocations that there are', async () => {
    behaviour = 'answers';
    keys = [jwkOf(known, 'known')];
    const env = { ...environment(), EDGE_WORKERS: '2', ...INSPECTABLE };
    await using tier = await startTier({ edges: 1, env });
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    // It is not kept: the new workers can have it from the main thread alone.
    const revocation = { subject: 'u2', until: Date.now() + 600_000 };
    await tier.backend.publish(REVOCATION_CHANNEL, writeRevocation(revocation));
    const read = async (metric: string) => (await edge.metrics()).sum(metric);
    await eventually(async () => (await read('tradewind_edge_revocations')) === 1);
    behaviour = 'hangs';
    for (const lost of [1, 2]) {
      // The oldest one is the first: one of those that were there from the start.
      await runInWorker(edge, 0, `setTimeout(() => { throw new Error('a test') }, 0)`);
      await eventually(async () => (await read('tradewind_edge_workers_lost_total')) === lost);
    }
    await eventually(async () => (await TestClient.connect(edge.wsUrl)).terminate());
    for (let i = 0; i < 16; i += 1) {
      await using client = await TestClient.connect(edge.wsUrl);
      const sub = i % 2 === 0 ? 'u1' : 'u2';
      const answer = await answerTo(client, signed(RSA, claims({ sub })));
      expect([sub, answer]).toEqual([sub, sub === 'u1' ? 'authenticated' : 'unauthorized']);
    }
  });

  it('does not trust a certificate that leads to none that is known', async () => {
    behaviour = 'answers';
    await using tier = await startTier({ edges: 0 });
    const { NODE_EXTRA_CA_CERTS: _none, ...env } = environment();
    await using edge = await startEdge({ ...env, REDIS_URL: tier.redis.url });
    await edge.waitForLine((line) => /keys_fetch_failed/.test(line) || undefined, 30_000);
    expect(edge.output.join('\n')).toMatch(/certificate/);
  });
});
