import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const BEARER = /^Bearer +(\S+) *$/i;

/**
 * Makes a check whether a request carries one of the tokens as `Authorization: Bearer`. Its time tells nothing about
 * the tokens: it compares digests of equal length, always with all of them.
 *
 * @param tokens at least one. With none, every request is refused.
 */
export function createBearerCheck(
  tokens: readonly string[],
): (request: IncomingMessage) => boolean {
  const find = createBearerFinder(tokens);
  return (request) => find(request) !== undefined;
}

/** Like {@link createBearerCheck}, but returns the index of the token among `tokens`. */
export function createBearerFinder(
  tokens: readonly string[],
): (request: IncomingMessage) => number | undefined {
  const digests = tokens.map(digest);
  return function find(request) {
    const token = BEARER.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    const candidate = digest(token);
    let found: number | undefined;
    for (const [index, expected] of digests.entries()) {
      if (timingSafeEqual(candidate, expected)) found = index;
    }
    return found;
  };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
