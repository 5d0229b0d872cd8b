import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { TestClient } from '../../support/clients/client.ts';
import { type Claims, hs256, makeToken, nowSeconds, rs256 } from '../../support/identity/tokens.ts';
import { IS_LONG } from '../../support/suite/length.ts';
import { startTier } from '../../support/tier.ts';

const KEY = 'planted-secret-of-the-hs256-key-file';
const folder = mkdtempSync(join(tmpdir(), 'tradewind-identity-'));
const keyFile = join(folder, 'key');
const keysFile = join(folder, 'keys.json');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const forger = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
const jwkOf = (keys: typeof rsa, kid: string) => ({
  ...keys.publicKey.export({ format: 'jwk' }),
  kid,
});
writeFileSync(keyFile, KEY);
writeFileSync(keysFile, JSON.stringify({ keys: [jwkOf(rsa, 'known')] }));

const RSA = { alg: 'RS256', kid: 'known', typ: 'JWT' };
const HS = { alg: 'HS256', typ: 'JWT' };

afterAll(() => rmSync(folder, { recursive: true }));

/** Claims of a good token. */
function claims(changes: Claims = {}): Claims {
  const tw = { channels: ['a', 'b'], history: ['a'] };
  const whom = { iss: 'https://id.example', aud: 'tradewind' };
  return { sub: 'u1', exp: nowSeconds() + 600, ...whom, tw, ...changes };
}

/** Sends a token and waits for what comes of it. */
async function authenticate(client: TestClient, token: string): Promise<void> {
  const before = client.controlsOf('authenticated').length;
  client.request({ type: 'auth', token });
  await client.waitFor(() => client.controlsOf('authenticated').length > before);
}

describe.each([1, 3])('over %i workers', (workers) => {
  const asymmetric = {
    EDGE_WORKERS: String(workers),
    EDGE_AUTH: 'jwt',
    EDGE_JWT_KEYS_FILE: keysFile,
    EDGE_JWT_ISSUER: 'https://id.example',
    EDGE_JWT_AUDIENCE: 'tradewind',
  };
  const symmetric = {
    EDGE_WORKERS: String(workers),
    EDGE_AUTH: 'jwt',
    EDGE_JWT_HS256_KEY_FILE: keyFile,
    LOG_LEVEL: 'trace',
  };

  it('refuses each forged token with its code, and accepts a good one', async () => {
    await using tier = await startTier({ edges: 1, env: asymmetric });
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    const signature = rs256(rsa.privateKey);
    const forged = rs256(forger.privateKey);
    const large = 'x'.repeat(8_192);
    const tokens: Readonly<Record<string, string>> = {
      'bad signature': makeToken(RSA, claims(), forged),
      'unknown kid': makeToken({ ...RSA, kid: 'unknown' }, claims(), forged),
      none: makeToken({ alg: 'none' }, claims(), () => Buffer.alloc(0)),
      'the public key as a secret': makeToken(HS, claims(), hs256(publicPem)),
      jku: makeToken({ ...RSA, kid: 'f', jku: 'http://127.0.0.1:1/' }, claims(), forged),
      jwk: makeToken({ ...RSA, kid: 'f', jwk: jwkOf(forger, 'f') }, claims(), forged),
      'no exp': makeToken(RSA, claims({ exp: undefined }), signature),
      'no sub': makeToken(RSA, claims({ sub: undefined }), signature),
      aud: makeToken(RSA, claims({ aud: 'other' }), signature),
      iss: makeToken(RSA, claims({ iss: 'https://other.example' }), signature),
      typ: makeToken({ ...RSA, typ: 'logout+jwt' }, claims(), signature),
      'too large': makeToken(RSA, claims({ large }), signature),
      expired: makeToken(RSA, claims({ exp: nowSeconds() - 60 }), signature),
    };
    const outcomes = await Promise.all(
      Object.entries(tokens).map(async ([name, token]) => {
        const client = await TestClient.connect(edge.wsUrl);
        client.request({ type: 'auth', token });
        const { code } = await client.closed;
        return [name, client.controlsOf('error')[0]?.code, code];
      }),
    );
    expect(outcomes).toEqual(
      Object.keys(tokens).map((name) =>
        name === 'expired' ? [name, 'token_expired', 4402] : [name, 'unauthorized', 4401],
      ),
    );
    await using client = await TestClient.connect(edge.wsUrl);
    expect(client.welcome.auth).toBe('required');
    await authenticate(client, makeToken(RSA, claims(), signature));
    expect((await client.subscribe(['a'])).channels).toHaveLength(1);
  });

  it('control: without EDGE_AUTH nobody is asked, and a token changes nothing', async () => {
    await using tier = await startTier({ edges: 1, env: { EDGE_WORKERS: String(workers) } });
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    const token = makeToken(HS, claims(), hs256('forged'));
    await using client = await TestClient.connect(edge.wsUrl, {
      channels: ['a', 'c'],
      protocols: ['tradewind.v1.json', `tradewind.token.${token}`],
    });
    expect(client.welcome.auth).toBe('none');
  });

  it('narrows rights before the next publication, and shows no secret in a log at trace', async () => {
    await using tier = await startTier({ edges: 1, env: symmetric });
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    const wide = makeToken(HS, claims(), hs256(KEY));
    const narrow = makeToken(HS, claims({ tw: { channels: ['a'] } }), hs256(KEY));
    await using client = await TestClient.connect(edge.wsUrl, {
      protocols: ['tradewind.v1.json', `tradewind.token.${wide}`],
    });
    await client.waitFor(() => client.controlsOf('authenticated').length === 1);
    expect((await client.subscribe(['a', 'b', 'c'])).rejected).toEqual([
      { channel: 'c', code: 'channel_not_allowed' },
    ]);
    let number = 0;
    const publishing = setInterval(() => {
      number += 1;
      void tier.backend.pipeline().publish('a', String(number)).publish('b', String(number)).exec();
    }, 2);
    await client.waitFor(() => client.publications.length > 10);
    client.request({ type: 'auth', token: narrow });
    await client.waitFor(() => client.controlsOf('unsubscribed').length === 1);
    const lost = client.controlsOf('unsubscribed')[0]!;
    const before = client.publications.length;
    await client.waitFor(() => client.publications.length > before + 10);
    clearInterval(publishing);
    expect(lost).toMatchObject({ channels: ['b'], reason: 'channel_not_allowed' });
    const later = client.publications.filter(({ index }) => index > lost.index);
    expect(new Set(later.map(({ channel }) => channel))).toEqual(new Set(['a']));

    const forged = makeToken(HS, claims({ planted: 'p' }), hs256('another key'));
    client.request({ type: 'auth', token: forged });
    await client.waitFor(() => client.controlsOf('error').length === 1);
    await edge.waitForLine((line) => line.includes('token_refused_signature') || undefined, 20_000);
    const log = edge.output.join('\n');
    expect(log).toContain('token_refused_signature');
    for (const secret of [KEY, wide, narrow, forged, wide.split('.')[2]!, forged.split('.')[2]!]) {
      expect(log).not.toContain(secret);
    }
  });

  // It takes ten seconds: as much as clocks may differ.
  it.runIf(workers > 1 || IS_LONG)(
    'tells that a token ends, and closes with 4402; a new token for the same subject keeps the connection',
    async () => {
      await using tier = await startTier({ edges: 1, env: symmetric });
      const [edge] = tier.edges as [(typeof tier.edges)[0]];
      // A node bears clocks that differ by 10 s.
      const exp = nowSeconds() - 2;
      const short = makeToken(HS, claims({ exp }), hs256(KEY));
      const [ending, renewing] = await Promise.all(
        [0, 1].map(async () => {
          const client = await TestClient.connect(edge.wsUrl);
          await authenticate(client, short);
          await client.subscribe(['a']);
          return client;
        }),
      );
      await using renewed = renewing!;
      await authenticate(renewed, makeToken(HS, claims(), hs256(KEY)));
      const { code, reason } = await ending!.closed;
      expect([code, reason]).toEqual([4402, 'token_expired']);
      expect(ending!.controlsOf('expiring')).toHaveLength(1);
      await tier.backend.publish('a', '1');
      await renewed.waitFor(() => renewed.publications.length === 1);
    },
  );
});

it.each([1, 3])(
  'logs who came, from where, and why they left, over %i workers',
  async (workers) => {
    const env = {
      EDGE_AUTH: 'jwt',
      EDGE_JWT_HS256_KEY_FILE: keyFile,
      EDGE_WORKERS: String(workers),
    };
    const origin = 'https://app.example';
    await using tier = await startTier({ edges: 1, env: { ...env, EDGE_ORIGINS: origin } });
    const [edge] = tier.edges as [(typeof tier.edges)[0]];
    const line = (event: string) =>
      edge.waitForLine((text) => {
        if (!text.includes(`"${event}"`)) return undefined;
        return JSON.parse(text) as Readonly<Record<string, unknown>>;
      }, 20_000);
    const foreign = { headers: { origin: 'https://evil.example' } };
    await expect(TestClient.connect(edge.wsUrl, foreign)).rejects.toThrow('403');
    await using client = await TestClient.connect(edge.wsUrl, { headers: { origin } });
    const { session } = client.welcome;
    const where = {
      log: 'security',
      address: expect.stringContaining('127.0.0.1'),
      origin,
      session,
    };
    await authenticate(client, makeToken(HS, claims(), hs256(KEY)));
    client.request({ type: 'auth', token: makeToken(HS, claims({ sub: 'u2' }), hs256(KEY)) });
    await client.waitFor(() => client.controlsOf('error').length === 1);
    await client.close();
    expect(await line('handshake_rejected_origin_not_allowed')).toMatchObject({
      ...{ log: 'security', origin: 'https://evil.example', code: 'origin_not_allowed' },
    });
    expect(await line('client_connected')).toMatchObject(where);
    expect(await line('client_identified')).toMatchObject({ ...where, subject: 'u1' });
    expect(await line('token_refused_subject')).toMatchObject({ ...where, subject: 'u1' });
    expect(await line('client_closed')).toMatchObject({
      ...where,
      subject: 'u1',
      reason: 'normal',
    });
  },
);

it('holds few clients that have not said who they are, and has room for more once they have', async () => {
  // One in twenty.
  const limit = { WS_MAX_CONNECTIONS: '20', EDGE_WORKERS: '1' };
  const env = { ...limit, EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: keyFile };
  await using tier = await startTier({ edges: 1, env });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  await using first = await TestClient.connect(edge.wsUrl);
  await expect(TestClient.connect(edge.wsUrl)).rejects.toThrow('429');
  await authenticate(first, makeToken(HS, claims(), hs256(KEY)));
  await using second = await TestClient.connect(edge.wsUrl);
  expect(second.welcome.auth).toBe('required');
});

it('uses a new key within seconds, and refuses tokens of the old one', async () => {
  const rotated = join(folder, 'rotated');
  writeFileSync(rotated, KEY);
  const env = { EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: rotated, EDGE_WORKERS: '3' };
  await using tier = await startTier({ edges: 1, env });
  const [edge] = tier.edges as [(typeof tier.edges)[0]];
  const old = makeToken(HS, claims(), hs256(KEY));
  await using connected = await TestClient.connect(edge.wsUrl);
  await authenticate(connected, old);
  const key = 'a new key that has more than 32 bytes';
  writeFileSync(rotated, key);
  for (const worker of [0, 1, 2]) {
    const isRead = (line: string) =>
      line.includes('keys_read') && line.includes(`"worker":${worker}`);
    await edge.waitForLine((line) => isRead(line) || undefined, 60_000);
  }
  connected.request({ type: 'auth', token: old });
  await connected.waitFor(() => connected.controlsOf('error').length === 1);
  await authenticate(connected, makeToken(HS, claims(), hs256(key)));
});

it('does not start without usable keys, and names the setting', async () => {
  const short = join(folder, 'short');
  writeFileSync(short, 'planted-short-key');
  const env = { EDGE_AUTH: 'jwt', EDGE_JWT_HS256_KEY_FILE: short };
  const error = await startTier({ edges: 1, env }).then(
    () => undefined,
    (failure: unknown) => String(failure),
  );
  expect(error).toContain('EDGE_JWT_HS256_KEY_FILE');
  expect(error).toContain('at least 32 bytes');
  expect(error).not.toContain('planted-short-key');
});
