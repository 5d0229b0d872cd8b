import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose';

/** A key of 32 bytes. */
export const SECRET = Buffer.from('0123456789abcdef0123456789abcdef');

/** A key pair of an issuer that tests play. */
export interface Issuer {
  readonly algorithm: string;
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
  /** The public key, with its `kid`. */
  readonly jwk: JWK;
}

export async function createIssuer(algorithm: string, kid: string): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return { algorithm, publicKey, privateKey, jwk: { ...(await exportJWK(publicKey)), kid } };
}

export function jwkSet(...keys: readonly JWK[]): Buffer {
  return Buffer.from(JSON.stringify({ keys }));
}

/** Seconds since the Unix epoch. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}

export interface TokenOptions {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: Uint8Array | CryptoKey;
  /** Claims beside those of a good token; undefined leaves one out. */
  readonly claims?: JWTPayload;
}

/** A token that is good for ten minutes, for HS256 with {@link SECRET} unless told otherwise. */
export async function makeToken(options: TokenOptions = {}): Promise<string> {
  const { header, key = SECRET, claims } = options;
  const payload: JWTPayload = {
    sub: 'u1',
    exp: nowSeconds() + 600,
    tw: { channels: ['*'], history: ['*'] },
    ...claims,
  };
  return new SignJWT(payload).setProtectedHeader({ alg: 'HS256', ...header }).sign(key);
}

/** Any header and payload, with a signature that is none. */
export function unsignedToken(header: object, payload: object, signature = 'AAAA'): string {
  const encode = (value: object): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode(header)}.${encode(payload)}.${signature}`;
}
