/** Where a request goes. */
export interface RequestTarget {
  /** The path, as it was sent: percent-encoding, dot segments and double slashes are left alone. */
  readonly path: string;
  /** What follows the first `?`; empty without one. */
  readonly query: string;
}

/** What comes before the path where the target names its host too (RFC 9112, 3.2.2). */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Splits a request's target, for routes and WebSocket handshakes alike. A path is compared byte by byte and
 * never rewritten, so that what a proxy in front allows or forbids by path is what is served here.
 */
export function parseTarget(target: string): RequestTarget {
  const origin = target.startsWith('/') ? target : target.replace(ORIGIN, '');
  const at = origin.indexOf('?');
  const path = at === -1 ? origin : origin.slice(0, at);
  // Where a host is named and no path, the path is the root.
  return { path: path === '' ? '/' : path, query: at === -1 ? '' : origin.slice(at + 1) };
}
