import { createHmac, type KeyObject, sign } from 'node:crypto';

/** Claims of a token. */
export type Claims = Readonly<Record<string, unknown>>;

/** Seconds since the Unix epoch. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}

/** A JWT that is made without the library that verifies it. `sign` gets what is signed. */
export function makeToken(
  header: Readonly<Record<string, unknown>>,
  claims: Claims,
  signature: (input: string) => Buffer,
): string {
  const input = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${input}.${signature(input).toString('base64url')}`;
}

/** The signature of HS256. */
export function hs256(key: string | Buffer): (input: string) => Buffer {
  return (input) => createHmac('sha256', key).update(input).digest();
}

/** The signature of RS256. */
export function rs256(key: KeyObject): (input: string) => Buffer {
  return (input) => sign('sha256', Buffer.from(input), key);
}
