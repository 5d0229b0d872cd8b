import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '@tradewind/protocol';

/** Which web pages may connect. */
export interface OriginPolicy {
  /** `EDGE_ORIGINS`: scheme, host and port as browsers send them; an empty list allows all. */
  readonly origins: readonly string[];
  /** `EDGE_AUTH`. */
  readonly auth: 'jwt' | 'none';
}

/**
 * Why a handshake with this `Origin` is refused; undefined if it is not. `null` (a page of a file, a sandboxed frame)
 * is never on the list. A client without an `Origin` is no page: it may connect if the node asks for tokens anyway.
 */
export function originFault(
  origin: string | undefined,
  { origins, auth }: OriginPolicy,
): ErrorCode | undefined {
  if (origins.length === 0) return undefined;
  const isAllowed = origin === undefined ? auth === 'jwt' : origins.includes(origin);
  return isAllowed ? undefined : 'origin_not_allowed';
}

/** The longest origin that is kept, in characters: a host name of 253, a scheme and a port. */
export const MAX_ORIGIN_LENGTH = 267;

/** The web page that a request says it comes from, cut to {@link MAX_ORIGIN_LENGTH}. Undefined outside of browsers. */
export function originOf({ headers }: Pick<IncomingMessage, 'headers'>): string | undefined {
  const { origin } = headers;
  if (origin === undefined || origin.length <= MAX_ORIGIN_LENGTH) return origin;
  // A slice of the string would keep the whole string alive.
  return Buffer.from(origin.slice(0, MAX_ORIGIN_LENGTH)).toString();
}
