import { createPublicKey, type JsonWebKey, webcrypto } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

/** The keys that tokens are verified with. They are all of one family of algorithms, so none can stand in for another. */
export interface KeySet {
  /** What a token's `alg` may be. */
  readonly algorithms: readonly string[];
  readonly find: JWTVerifyGetKey;
}

/** The least length of an HS256 key, in bytes (RFC 7518, 3.2). */
export const LEAST_SECRET_BYTES = 32;

/** The least length of an RSA key, in bits (RFC 7518, 3.3). */
const LEAST_RSA_BITS = 2_048;

/** Keys of one set: more than an issuer rotates through. */
const MAX_KEYS = 64;

/**
 * The beginnings of files that hold another kind of key: PEM, a JWK or a set of them, a line of OpenSSH. Such a key may be public.
 * If it were taken for a secret, everybody could make tokens.
 */
const OTHER_KEYS = /^\s*(-----BEGIN |---- BEGIN |\{|(ssh|ecdsa)-)/;

/** How many bytes of a file are examined for that. */
const OTHER_KEYS_BEGIN_BYTES = 64;

/** The `alg` names of each kind of key. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  RSA: ['RS256'],
  'EC P-256': ['ES256'],
  'OKP Ed25519': ['EdDSA', 'Ed25519'],
};

/**
 * The key that an HS256 key file holds: its bytes, without a line feed at the end.
 *
 * @throws Error when it is too short, or a key of another kind.
 */
export async function readSecret(content: Buffer): Promise<KeySet> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const bytes = secretOf(content);
  const key = await webcrypto.subtle.importKey('raw', bytes, algorithm, false, ['verify']);
  return { algorithms: ['HS256'], find: async () => key };
}

/**
 * The bytes of the key that an HS256 key file holds.
 *
 * @throws Error when it is too short, or a key of another kind.
 */
export function secretOf(content: Buffer): Buffer {
  const bytes = content.at(-1) === 0x0a ? content.subarray(0, -1) : content;
  if (bytes.length < LEAST_SECRET_BYTES) {
    throw new Error(
      `an HS256 key must have at least ${LEAST_SECRET_BYTES} bytes; this one has ${bytes.length}`,
    );
  }
  if (OTHER_KEYS.test(bytes.toString('latin1', 0, OTHER_KEYS_BEGIN_BYTES))) {
    throw new Error('an HS256 key must be a secret, and not a key in PEM, JSON or OpenSSH');
  }
  return bytes;
}

/**
 * The keys of a JWK set (RFC 7517).
 *
 * @throws Error that says what is wrong with the set. It holds nothing of a key.
 */
export function readJwkSet(content: Uint8Array): KeySet {
  const { keys: all } = parse(content);
  // An issuer publishes keys for encryption beside these. No token is verified with one.
  const keys = Array.isArray(all) ? all.filter((key) => (key?.use ?? 'sig') === 'sig') : [];
  if (keys.length === 0 || keys.length > MAX_KEYS) {
    throw new Error(`a JWK set must have 1 to ${MAX_KEYS} \`keys\``);
  }
  const families = new Set(keys.map((key, i) => familyOf(key, i + 1)));
  if (families.size > 1) {
    throw new Error(`the keys of a set must be of one kind; these are ${[...families].join(', ')}`);
  }
  const [family = ''] = families;
  return {
    algorithms: FAMILIES[family] ?? [],
    find: createLocalJWKSet({ keys } as JSONWebKeySet),
  };
}

function parse(content: Uint8Array): { readonly keys?: unknown } {
  try {
    return (JSON.parse(Buffer.from(content).toString()) ?? {}) as { readonly keys?: unknown };
  } catch {
    // What JSON.parse says quotes the text.
    throw new Error('a JWK set must be JSON');
  }
}

function familyOf(key: JsonWebKey, number: number): string {
  const { kty, crv, d } = key ?? {};
  const family = crv === undefined ? String(kty) : `${kty} ${crv}`;
  if (!Object.hasOwn(FAMILIES, family)) {
    throw new Error(
      `key ${number} of a JWK set must be one of ${Object.keys(FAMILIES).join(', ')}; HS256 keys have a file of their own`,
    );
  }
  if (d !== undefined) throw new Error(`key ${number} of the JWK set must not be private`);
  let bits: number | undefined;
  try {
    bits = createPublicKey({ key, format: 'jwk' }).asymmetricKeyDetails?.modulusLength;
  } catch {
    throw new Error(`key ${number} of the JWK set must be well-formed`);
  }
  if (bits !== undefined && bits < LEAST_RSA_BITS) {
    throw new Error(`key ${number} of the JWK set must have at least ${LEAST_RSA_BITS} bits`);
  }
  return family;
}
