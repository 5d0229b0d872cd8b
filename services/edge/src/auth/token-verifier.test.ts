import { createHmac } from 'node:crypto';
import { exportSPKI } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { type KeySet, readJwkSet, readSecret } from './key-set.ts';
import { rightsTo } from './rights.ts';
import {
  createIssuer,
  type Issuer,
  jwkSet,
  makeToken,
  nowSeconds,
  SECRET,
  unsignedToken,
} from './testing/tokens.ts';
import {
  CLOCK_TOLERANCE_SECONDS,
  type Identity,
  MAX_TOKEN_BYTES,
  MAX_VERIFICATIONS,
  type TokenRules,
  TokenVerifier,
} from './token-verifier.ts';

const RULES: TokenRules = {
  issuer: undefined,
  audience: undefined,
  offered: rightsTo(() => true),
};

let secret: KeySet;
let rsa: Issuer;

beforeAll(async () => {
  secret = await readSecret(SECRET);
  rsa = await createIssuer('RS256', 'rsa-1');
});

describe('TokenVerifier', () => {
  it('gives the subject, the end and the rights of a good token', async () => {
    const exp = nowSeconds() + 60;
    const token = await makeToken({ claims: { exp, tw: { channels: ['BTC.*'] } } });
    const identity = (await verifier().verify(token)) as Identity;
    expect(identity.subject).toBe('u1');
    expect(identity.expiresAt).toBe((exp + CLOCK_TOLERANCE_SECONDS) * 1_000);
    expect(identity.rights.allows('BTC.trade')).toBe(true);
    expect(identity.rights.allows('ETH.trade')).toBe(false);
  });

  it.each(['RS256', 'ES256', 'EdDSA', 'Ed25519'])('verifies %s with a JWK set', async (alg) => {
    const [issuer, other] = await Promise.all([createIssuer(alg, 'a'), createIssuer(alg, 'b')]);
    const under = verifier({}, readJwkSet(jwkSet(issuer.jwk, other.jwk)));
    const good = { header: { alg, kid: 'b' }, key: other.privateKey };
    expect(await under.verify(await makeToken(good))).toMatchObject({ subject: 'u1' });
    const swapped = await makeToken({ header: { alg, kid: 'a' }, key: other.privateKey });
    expect(await under.verify(swapped)).toEqual({ code: 'unauthorized', cause: 'signature' });
  });

  it.each([
    ['a bad signature', 'signature', () => makeToken({ key: Buffer.alloc(32, 1) })],
    ['alg none', 'algorithm', () => unsignedToken({ alg: 'none' }, { sub: 'u1', exp: 9e9 })],
    ['alg none without a signature', 'malformed', () => unsignedToken({ alg: 'none' }, {}, '')],
    [
      'another algorithm of the family',
      'algorithm',
      () => makeToken({ header: { alg: 'HS384' }, key: Buffer.alloc(48) }),
    ],
    ['no exp', 'claims', () => makeToken({ claims: { exp: undefined } as never })],
    ['no sub', 'claims', () => makeToken({ claims: { sub: undefined } as never })],
    ['an empty sub', 'claims', () => makeToken({ claims: { sub: '' } })],
    ['a long sub', 'claims', () => makeToken({ claims: { sub: 'u'.repeat(257) } })],
    ['a subject that is no text', 'claims', () => makeToken({ claims: { sub: 1 } as never })],
    ['an exp that is no number', 'claims', () => makeToken({ claims: { exp: 'never' } as never })],
    ['an exp beyond all time', 'claims', () => makeToken({ claims: { exp: 1e300 } })],
    ['nbf in the future', 'claims', () => makeToken({ claims: { nbf: nowSeconds() + 60 } })],
    ['another type', 'type', () => makeToken({ header: { typ: 'logout+jwt' } })],
    [
      'a critical extension',
      'malformed',
      () =>
        makeToken({ header: { crit: ['b64'], b64: true } }).then((t) =>
          t.replace(
            /^[^.]+/,
            Buffer.from('{"alg":"HS256","crit":["x"],"x":1}').toString('base64url'),
          ),
        ),
    ],
    [
      'rights that are not understood',
      'rights',
      () => makeToken({ claims: { tw: { limits: { a: 1 } } } }),
    ],
    ['no JWT', 'malformed', () => 'BTC.trade'],
    ['nothing', 'malformed', () => ''],
    ['a header that is no JSON', 'malformed', () => 'AAAA.AAAA.AAAA'],
  ])('refuses %s', async (_what, cause, make) => {
    expect(await verifier().verify(await make())).toEqual({ code: 'unauthorized', cause });
  });

  it('refuses what has expired, and bears clocks that differ by the tolerance', async () => {
    const expired = (secondsAgo: number) =>
      makeToken({ claims: { exp: nowSeconds() - secondsAgo } });
    const refusal = { code: 'token_expired', cause: 'expired' };
    expect(await verifier().verify(await expired(CLOCK_TOLERANCE_SECONDS + 2))).toEqual(refusal);
    const bearable = await expired(CLOCK_TOLERANCE_SECONDS - 3);
    expect(await verifier().verify(bearable)).toMatchObject({ subject: 'u1' });
  });

  it('takes a token as issued before any time if its `iat` is none, so that a revocation reaches it', async () => {
    const issuedAt = async (iat: number) =>
      ((await verifier().verify(await makeToken({ claims: { iat } }))) as Identity).issuedAt;
    const now = nowSeconds();
    expect(await issuedAt(now + 30)).toBe(now + 30);
    expect(await issuedAt(now + 90)).toBe(0);
    expect(await issuedAt(now * 1_000)).toBe(0);
  });

  it('remembers long tokens only as far as they are short together', async () => {
    const tokens = await Promise.all(
      ['a', 'a', 'b', 'c', 'd'].map((sub) => makeToken({ claims: { sub, exp: 9e9 } })),
    );
    const [{ length } = ''] = tokens;
    const most = { maxRememberedBytes: 3 * length };
    const under = new TokenVerifier(() => secret, RULES, most);
    await Promise.all(tokens.slice(0, 2).map((token) => under.verify(token)));
    expect(under.remembered).toBe(1);
    for (const token of tokens) await under.verify(token);
    expect(under.remembered).toBe(3);
    under.forgetTokens();
    for (const token of tokens) await under.verify(token);
    expect(under.remembered).toBe(3);
  });

  it('refuses a token that is too large before anything of it is read', async () => {
    const padding = 'x'.repeat(MAX_TOKEN_BYTES);
    const large = await makeToken({ claims: { padding } });
    expect(await verifier().verify(large)).toEqual({ code: 'unauthorized', cause: 'too_large' });
  });

  it('asks for issuer and audience where they are configured', async () => {
    const under = verifier({ issuer: 'https://id', audience: 'tradewind' });
    const verify = async (claims: object) =>
      under.verify(await makeToken({ claims: { ...claims } }));
    const refusal = { code: 'unauthorized', cause: 'claims' };
    expect(await verify({})).toEqual(refusal);
    expect(await verify({ iss: 'https://id' })).toEqual(refusal);
    expect(await verify({ iss: 'https://other', aud: 'tradewind' })).toEqual(refusal);
    expect(await verify({ iss: 'https://id', aud: 'other' })).toEqual(refusal);
    expect(await verify({ iss: 'https://id', aud: ['other', 'tradewind'] })).toMatchObject({
      subject: 'u1',
    });
  });

  it('takes no public key for a secret', async () => {
    const pem = await exportSPKI(rsa.publicKey);
    const unsigned = unsignedToken({ alg: 'HS256' }, { sub: 'u1', exp: 9e9 }).replace(
      /\.AAAA$/,
      '',
    );
    const signature = createHmac('sha256', pem).update(unsigned).digest('base64url');
    const under = verifier({}, readJwkSet(jwkSet(rsa.jwk)));
    expect(await under.verify(`${unsigned}.${signature}`)).toEqual({
      code: 'unauthorized',
      cause: 'algorithm',
    });
  });

  it.each(['jku', 'x5u', 'jwk'])('does not follow %s', async (name) => {
    const forger = await createIssuer('RS256', 'rsa-2');
    const value = name === 'jwk' ? forger.jwk : 'http://127.0.0.1:1/keys';
    const header = { alg: 'RS256', kid: 'rsa-2', [name]: value };
    const under = verifier({}, readJwkSet(jwkSet(rsa.jwk)));
    expect(await under.verify(await makeToken({ header, key: forger.privateKey }))).toEqual({
      code: 'unauthorized',
      cause: 'key',
    });
  });

  it('remembers a token until it expires, or until the keys change', async () => {
    let now = Date.now();
    let keys = secret;
    const under = new TokenVerifier(() => keys, RULES, { clock: () => now });
    const token = await makeToken({ claims: { exp: nowSeconds() + 60 } });
    const first = await under.verify(token);
    keys = await readSecret(Buffer.alloc(32, 7));
    expect(await under.verify(token)).toBe(first);
    under.forgetTokens();
    expect(await under.verify(token)).toEqual({ code: 'unauthorized', cause: 'signature' });
    keys = secret;
    await under.verify(token);
    now += (60 + CLOCK_TOLERANCE_SECONDS + 1) * 1_000;
    expect(await under.verify(token)).toEqual({ code: 'token_expired', cause: 'expired' });
    expect(under.remembered).toBe(0);
  });

  it('remembers no refusal, and a bounded number of tokens', async () => {
    const most = 20;
    const under = new TokenVerifier(() => secret, RULES, { maxRemembered: most });
    await under.verify(await makeToken({ key: Buffer.alloc(32, 1) }));
    expect(under.remembered).toBe(0);
    for (let i = 0; i < most + 10; i += 1) {
      await under.verify(await makeToken({ claims: { jti: String(i) } }));
    }
    expect(under.remembered).toBe(most);
  });

  it('says that there are no keys, and verifies again once there are', async () => {
    let keys: KeySet | undefined;
    const under = new TokenVerifier(() => keys, RULES);
    const token = await makeToken();
    expect(await under.verify(token)).toEqual({ code: 'unavailable', cause: 'no_keys' });
    keys = secret;
    expect(await under.verify(token)).toMatchObject({ subject: 'u1' });
  });

  it('asks for newer keys when it does not know the key of a token, and for nothing else', async () => {
    let asked = 0;
    const keys = readJwkSet(jwkSet(rsa.jwk));
    const under = new TokenVerifier(() => keys, RULES, { onUnknownKey: () => void asked++ });
    const make = (kid: string, claims = {}) =>
      makeToken({ header: { alg: 'RS256', kid }, key: rsa.privateKey, claims });
    await under.verify(await make('rsa-1'));
    await under.verify(await make('rsa-1', { exp: 1 }));
    await under.verify(unsignedToken({ alg: 'RS256', kid: 'rsa-1' }, {}));
    await under.verify('no token');
    expect(asked).toBe(0);
    await under.verify(await make('rsa-2'));
    expect(asked).toBe(1);
  });

  it('refuses a revoked token, also one that it remembers, and nothing else for that', async () => {
    const revoked = new Set<string | undefined>();
    const under = new TokenVerifier(() => secret, RULES, {
      isRevoked: ({ tokenId }) => revoked.has(tokenId),
    });
    const [a, b] = await Promise.all(['a', 'b'].map((jti) => makeToken({ claims: { jti } })));
    expect(await under.verify(a as string)).toMatchObject({ tokenId: 'a', issuedAt: 0 });
    revoked.add('a');
    const refusal = { code: 'unauthorized', cause: 'revoked' };
    expect(await under.verify(a as string)).toEqual(refusal);
    under.forgetTokens();
    expect(await under.verify(a as string)).toEqual(refusal);
    expect(await under.verify(b as string)).toMatchObject({ tokenId: 'b' });
  });

  it('refuses a token that was revoked while it was verified', async () => {
    let isRevoked = false;
    const under = new TokenVerifier(() => secret, RULES, { isRevoked: () => isRevoked });
    const answer = under.verify(await makeToken());
    isRevoked = true;
    expect(await answer).toEqual({ code: 'unauthorized', cause: 'revoked' });
  });

  it.each([7, 'j'.repeat(257), null])('refuses the token id %j', async (jti) => {
    const token = await makeToken({ claims: { jti } as never });
    expect(await verifier().verify(token)).toEqual({ code: 'unauthorized', cause: 'claims' });
  });

  it('tells when a token was issued', async () => {
    const token = await makeToken({ claims: { iat: 1_795_417_498 } });
    expect(await verifier().verify(token)).toMatchObject({ issuedAt: 1_795_417_498 });
  });

  it('refuses what would be one verification in flight too many, and goes on afterwards', async () => {
    const under = verifier();
    const tokens = Array.from({ length: MAX_VERIFICATIONS + 1 }, (_, i) =>
      unsignedToken({ alg: 'HS256' }, { i }),
    );
    const answers = await Promise.all(tokens.map((token) => under.verify(token)));
    expect(answers.at(-1)).toEqual({ code: 'rate_limited', cause: 'busy' });
    expect(answers.at(-2)).toEqual({ code: 'unauthorized', cause: 'signature' });
    expect(await under.verify(await makeToken())).toMatchObject({ subject: 'u1' });
  });
});

function verifier(rules: Partial<TokenRules> = {}, keys = secret): TokenVerifier {
  return new TokenVerifier(() => keys, { ...RULES, ...rules });
}
