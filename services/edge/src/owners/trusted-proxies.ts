import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { canonicalAddress } from './client-address.ts';

/**
 * The most entries of `X-Forwarded-For` that are read, from the right. No tier has as many proxies in a row. Entries further left
 * may be of any length and are never read.
 */
const MOST_HOPS = 16;

/** The longest entry, in characters: an IPv6 address with a zone, in brackets, with a port. */
const MOST_ENTRY_CHARACTERS = 64;

const IPV4_WITH_PORT = /^([\d.]+):\d{1,5}$/;
const IN_BRACKETS = /^\[([^\]]+)\](?::\d{1,5})?$/;
const PREFIX = /^\d{1,3}$/;
const IPV4_BITS = 32;
const IPV6_BITS = 128;

/** A network, as `BlockList.addSubnet` takes it. */
interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Whether the text is an IP address or a network in CIDR notation. */
export function isNetwork(text: string): boolean {
  return readNetwork(text) !== undefined;
}

/** The proxies whose word about a client's address is believed: `EDGE_TRUSTED_PROXIES`. */
export class TrustedProxies {
  readonly #networks = new BlockList();

  /** @param networks addresses and networks, each of which {@link isNetwork}. */
  constructor(networks: readonly string[]) {
    for (const text of networks) {
      const network = readNetwork(text);
      if (network === undefined) throw new Error(`${text} is no network`);
      this.#networks.addSubnet(network.address, network.bits, network.family);
    }
  }

  /** @param address a canonical one. */
  includes(address: string): boolean {
    return this.#networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
  }

  /**
   * The address of a client: the first one, from the right, that is no trusted proxy. Each proxy appends the address of its peer, so
   * whatever a client claims is further left. If an entry is no address, the peer of that proxy is unknown, and the client counts as
   * the proxy.
   *
   * @param peer the canonical address at the other end of the connection.
   * @param forwardedFor `X-Forwarded-For`, several headers joined by commas in their order. Read only if a trusted proxy sent it.
   */
  clientOf(peer: string, forwardedFor: string | undefined): string {
    let client = peer;
    let rest = forwardedFor;
    for (let hop = 0; hop < MOST_HOPS && rest !== undefined && this.includes(client); hop += 1) {
      const comma: number = rest.lastIndexOf(',');
      const address = readEntry(rest.slice(comma + 1));
      if (address === undefined) return client;
      client = address;
      rest = comma === -1 ? undefined : rest.slice(0, comma);
    }
    return client;
  }
}

/** The address of one entry, which may have a port, and IPv6 in brackets. Undefined if it is no address. */
function readEntry(text: string): string | undefined {
  if (text.length > MOST_ENTRY_CHARACTERS) return undefined;
  const entry = text.trim();
  const [, address = entry] = IPV4_WITH_PORT.exec(entry) ?? IN_BRACKETS.exec(entry) ?? [];
  return canonicalAddress(address);
}

function readNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const isFour = isIPv4(address);
  if (!isFour && !isIPv6(address)) return undefined;
  const most = isFour ? IPV4_BITS : IPV6_BITS;
  const prefix = slash === -1 ? String(most) : text.slice(slash + 1);
  if (!PREFIX.test(prefix) || Number(prefix) > most) return undefined;
  return { address, bits: Number(prefix), family: isFour ? 'ipv4' : 'ipv6' };
}
