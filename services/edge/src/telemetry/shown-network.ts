import { networkOf } from '../owners/client-address.ts';

/**
 * The part of an address that operators see: the /24 of IPv4, the /64 of IPv6. It shows where a client comes from, but not who it is.
 *
 * @param address a canonical one; empty for none.
 */
export function shownNetwork(address: string): string {
  if (address === '' || address.includes(':')) return address === '' ? '' : networkOf(address);
  return address.replace(/\.\d+$/, '.0/24');
}
