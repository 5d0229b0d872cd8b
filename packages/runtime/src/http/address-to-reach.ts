import { isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

/** Hosts that stand for all addresses of a machine: nothing reaches a port by them from elsewhere. */
const ALL_ADDRESSES: readonly string[] = ['0.0.0.0', '::'];

/** What a machine's addresses are, by the names of its interfaces. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/**
 * Returns where others reach what listens on `host` and `port`, as `address:port`. What listens on all addresses is told by the first
 * that is not loopback, IPv4 before IPv6; an IPv6 address of one link alone does not count, because others cannot use it.
 */
export function addressToReach(
  host: string,
  port: number,
  interfaces: Interfaces = networkInterfaces(),
): string {
  const address = ALL_ADDRESSES.includes(host) ? ownAddress(interfaces) : host;
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

function ownAddress(interfaces: Interfaces): string {
  const outward = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter((one) => !one.internal && !(one.family === 'IPv6' && one.scopeid !== 0));
  const first = outward.find(({ family }) => family === 'IPv4') ?? outward[0];
  return first?.address ?? '127.0.0.1';
}
