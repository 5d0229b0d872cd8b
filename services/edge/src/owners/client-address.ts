import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** The beginning of the canonical text of an IPv6 address that embeds an IPv4 address (RFC 4291, 2.5.5.2). */
const MAPPED = '::ffff:';

/** The groups of an IPv6 address that name a network of one subscriber: 64 bits (RFC 6177, RFC 7421). */
const NETWORK_GROUPS = 4;
const GROUPS = 8;

/**
 * The canonical text of an IP address: IPv6 in lower case and short (RFC 5952), without a zone. An IPv4 address that is mapped
 * into IPv6 becomes the IPv4 address, because a socket that accepts both shows IPv4 peers like that.
 *
 * @returns undefined if the text is no IP address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const zoneAt = text.indexOf('%');
  const plain = zoneAt === -1 ? text : text.slice(0, zoneAt);
  if (!isIPv6(plain)) return undefined;
  const { address } = new SocketAddress({ address: plain, family: 'ipv6' });
  const embedded = address.slice(MAPPED.length);
  return address.startsWith(MAPPED) && isIPv4(embedded) ? embedded : address;
}

/**
 * What counts as one address for limits: an IPv4 address, or the first 64 bits of an IPv6 address. One home has all 2^64
 * addresses of such a network, and a client may use a new one for each connection.
 *
 * @param address a canonical one.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail = ''] = address.split('::');
  const first = groupsOf(head);
  const last = groupsOf(tail);
  const zeros = Array.from({ length: GROUPS - first.length - last.length }, () => '0');
  return `${[...first, ...zeros, ...last].slice(0, NETWORK_GROUPS).join(':')}::/64`;
}

/** The groups of a part of an IPv6 address. The dotted end, which some have, counts as two. */
function groupsOf(part: string): string[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => (group.includes('.') ? [group, group] : [group]));
}
