import { networkOf } from '../owners/client-address.ts';

/**
 * What operators see of an address: the /24 of IPv4, the /64 of IPv6. It tells where a client comes from, and names nobody.
 *
 * @param address a canonical one; empty for none.
 */
export function shownNetwork(address: string): string {
  if (address === '' || address.includes(':')) return address === '' ? '' : networkOf(address);
  return address.replace(/\.\d+$/, '.0/24');
}
