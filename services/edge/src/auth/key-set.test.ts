import { exportJWK, exportSPKI, generateSecret } from 'jose';
import { describe, expect, it } from 'vitest';
import { LEAST_SECRET_BYTES, readJwkSet, readSecret } from './key-set.ts';
import { createIssuer, jwkSet } from './testing/tokens.ts';

describe('readSecret', () => {
  it('needs 32 bytes without the line feed at the end', async () => {
    const short = Buffer.from(`${'k'.repeat(LEAST_SECRET_BYTES - 1)}\n`);
    await expect(readSecret(short)).rejects.toThrow('at least 32 bytes; this one has 31');
    await expect(readSecret(Buffer.alloc(LEAST_SECRET_BYTES))).resolves.toMatchObject({
      algorithms: ['HS256'],
    });
  });

  it('refuses a key of another kind, which may be public', async () => {
    const { publicKey, jwk } = await createIssuer('RS256', 'a');
    for (const file of [await exportSPKI(publicKey), JSON.stringify(jwk), jwkSet(jwk)]) {
      await expect(readSecret(Buffer.from(file))).rejects.toThrow('must be a secret');
    }
    const line = `ssh-ed25519 ${'A'.repeat(68)} somebody`;
    await expect(readSecret(Buffer.from(line))).rejects.toThrow('must be a secret');
  });
});

describe('readJwkSet', () => {
  it('takes several keys of one kind', async () => {
    const issuers = await Promise.all([createIssuer('ES256', 'a'), createIssuer('ES256', 'b')]);
    expect(readJwkSet(jwkSet(...issuers.map(({ jwk }) => jwk))).algorithms).toEqual(['ES256']);
  });

  it('refuses keys of two kinds, because a token could choose between them', async () => {
    const issuers = await Promise.all([createIssuer('ES256', 'a'), createIssuer('RS256', 'b')]);
    const mixed = jwkSet(...issuers.map(({ jwk }) => jwk));
    expect(() => readJwkSet(mixed)).toThrow('must be of one kind; these are EC P-256, RSA');
  });

  it('refuses a secret and a private key', async () => {
    const shared = await exportJWK(await generateSecret('HS256', { extractable: true }));
    expect(() => readJwkSet(jwkSet(shared))).toThrow('key 1 of a JWK set must be one of RSA');
    const { privateKey } = await createIssuer('Ed25519', 'a');
    const whole = await exportJWK(privateKey);
    expect(() => readJwkSet(jwkSet(whole))).toThrow('must not be private');
  });

  it.each([
    ['no JSON', 'secret'],
    ['null', 'null'],
    ['no keys', '{}'],
    ['an empty set', '{"keys":[]}'],
    ['a key that is no object', '{"keys":[null]}'],
    ['a curve that is not offered', '{"keys":[{"kty":"EC","crv":"P-384"}]}'],
    ['a malformed key', '{"keys":[{"kty":"RSA","n":"secret"}]}'],
    ['a short key', `{"keys":[{"kty":"RSA","e":"AQAB","n":"${'u'.repeat(171)}"}]}`],
  ])('refuses %s, and quotes nothing of it', (_what, text) => {
    expect(() => readJwkSet(Buffer.from(text))).toThrow(/^(?!.*secret).*JWK set must/);
  });
});
