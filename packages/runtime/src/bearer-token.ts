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
  const find = createBearerFinder(tokens);
  return (request) => find(request) !== undefined;
}

/** Like {@link createBearerCheck}, but says which of the tokens it is, by its place among them. */
export function createBearerFinder(
  tokens: readonly string[],
): (request: IncomingMessage) => number | undefined {
  const digests = tokens.map(digest);
  return function find(request) {
    const token = BEARER.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    const candidate = digest(token);
    let found: number | undefined;
    for (const [place, expected] of digests.entries()) {
      if (timingSafeEqual(candidate, expected)) found = place;
    }
    return found;
  };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
