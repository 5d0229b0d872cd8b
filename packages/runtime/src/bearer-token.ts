import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const BEARER = /^Bearer +(\S+) *$/i;

/**
 * A check whether a request carries one of the tokens as `Authorization: Bearer`. How long it takes
 * tells nothing about the tokens: digests of equal length are compared, always with all of them.
 *
 * @param tokens at least one; with none, nobody is let in.
 */
export function createBearerCheck(
  tokens: readonly string[],
): (request: IncomingMessage) => boolean {
  const digests = tokens.map(digest);
  return function isAuthorized(request) {
    const token = BEARER.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return false;
    const candidate = digest(token);
    let matches = 0;
    for (const expected of digests) matches += timingSafeEqual(candidate, expected) ? 1 : 0;
    return matches > 0;
  };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
