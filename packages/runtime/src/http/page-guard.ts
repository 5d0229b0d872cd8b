import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../settings/service-settings.ts';
import { type HttpErrorDetails, SERVER_ERRORS } from './http-error.ts';

/** A `Host` header: an address in brackets or a name, and a port. */
const HOST = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]{1,5})?$/;

const NO_NAMES: ReadonlySet<string> = new Set();

/**
 * Why a port that asks for no token refuses a request. Undefined when it answers. Only this machine reaches such a port, but so does
 * each web page that is open in a browser here. The name in `Host` shows a page whose own name was made to lead to this machine: it could read
 * the answers. `Origin` and `Sec-Fetch-Site` show a page that cannot read them, but whose request would be carried out. A page
 * can set none of the three.
 *
 * @param names further names, in lower case, under which browsers may reach it.
 */
export function pageFault(
  { headers }: Pick<IncomingMessage, 'headers'>,
  names: ReadonlySet<string> = NO_NAMES,
): HttpErrorDetails | undefined {
  const host = headers.host?.toLowerCase() ?? '';
  const [, address, name] = HOST.exec(host) ?? [];
  const called = address ?? name ?? '';
  if (!isLoopback(called) && !names.has(called)) return SERVER_ERRORS.hostNotAllowed;
  const { origin } = headers;
  // Only a proxy with a name of its own adds TLS.
  const schemes = names.has(called) ? ['http', 'https'] : ['http'];
  const isForeign =
    origin !== undefined && !schemes.some((scheme) => origin === `${scheme}://${host}`);
  const isCrossSite = String(headers['sec-fetch-site']).includes('cross-site');
  return isForeign || isCrossSite ? SERVER_ERRORS.originNotAllowed : undefined;
}
