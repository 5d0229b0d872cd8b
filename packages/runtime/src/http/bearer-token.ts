import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const BEARER = /^Bearer +(\S+) *$/i;

/** The token that a request carries as `Authorization: Bearer`; undefined if it carries none. */
export function readBearerToken({ headers }: IncomingMessage): string | undefined {
  return BEARER.exec(headers.authorization ?? '')?.[1];
}

/**
 * Makes a check whether a request carries one of the tokens as `Authorization: Bearer`. Its time tells nothing about
 * the tokens: it compares digests of equal length, always with all of them.
 *
 * @param tokens at least one. With none, every request is refused.
 */
export function createBearerCheck(
  tokens: readonly string[],
): (request: IncomingMessage) => boolean {
  const digests = tokens.map(digest);
  return function check(request) {
    const token = readBearerToken(request);
    if (token === undefined) return false;
    const candidate = digest(token);
    let isKnown = false;
    for (const expected of digests) isKnown = timingSafeEqual(candidate, expected) || isKnown;
    return isKnown;
  };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
