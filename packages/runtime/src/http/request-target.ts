/** The target of a request. */
export interface RequestTarget {
  /** The path as it was sent: percent-encoding, dot segments and double slashes stay. */
  readonly path: string;
  /** The text after the first `?`. Empty without one. */
  readonly query: string;
}

/** The part before the path of a target that also names its host (RFC 9112, 3.2.2). */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/**
 * Splits the target of a request, for routes and for WebSocket handshakes. A path is compared byte by byte and never
 * rewritten, so that a proxy in front that allows or forbids a path decides about exactly what is served here.
 */
export function parseTarget(target: string): RequestTarget {
  const origin = target.startsWith('/') ? target : target.replace(ORIGIN, '');
  const at = origin.indexOf('?');
  const path = at === -1 ? origin : origin.slice(0, at);
  // A target with a host and no path means the root.
  return { path: path === '' ? '/' : path, query: at === -1 ? '' : origin.slice(at + 1) };
}
