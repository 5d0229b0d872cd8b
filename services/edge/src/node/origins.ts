import type { ErrorCode } from '@tradewind/protocol';

/** Which web pages may connect. */
export interface OriginPolicy {
  /** `EDGE_ORIGINS`: scheme, host and port as browsers send them; none for all. */
  readonly origins: readonly string[];
  /** `EDGE_AUTH`. */
  readonly auth: 'jwt' | 'none';
}

/**
 * Why a handshake with this `Origin` is refused; undefined when it is not. `null` (a page of a file, a sandboxed frame)
 * is never on the list. A client without an `Origin` is no page: it may connect where it needs a token anyway.
 */
export function originFault(
  origin: string | undefined,
  { origins, auth }: OriginPolicy,
): ErrorCode | undefined {
  if (origins.length === 0) return undefined;
  const isAllowed = origin === undefined ? auth === 'jwt' : origins.includes(origin);
  return isAllowed ? undefined : 'origin_not_allowed';
}
