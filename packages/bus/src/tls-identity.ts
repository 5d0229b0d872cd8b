import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/**
 * Decides whether a certificate whose chain is already trusted belongs to `host`: by Node's rules, or, where `host` is an
 * IP address, by a common name that is that address.
 *
 * Google's Memorystore issues such certificates (https://github.com/envoyproxy/ratelimit/issues/409), and Node looks for
 * an address only among a certificate's alternative names. It is safe only where the trusted authority is the server's
 * own: public authorities do not vouch for common names.
 *
 * @returns why the certificate is refused; undefined if it is accepted.
 */
export function checkIdentityByAddress(
  host: string,
  certificate: PeerCertificate,
): Error | undefined {
  const fault = checkServerIdentity(host, certificate);
  if (fault === undefined || isIP(host) === 0) return fault;
  return certificate.subject?.CN === host ? undefined : fault;
}
