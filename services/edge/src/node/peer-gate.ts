import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '@tradewind/protocol';
import type { ConnectionGate } from '@tradewind/runtime';
import type { LimitGuard } from '../limits.ts';
import { canonicalAddress, networkOf } from '../owners/client-address.ts';
import type { Owner } from '../owners/owner.ts';
import type { OwnerTable } from '../owners/owner-table.ts';
import type { TrustedProxies } from '../owners/trusted-proxies.ts';
import { type PrefaceFault, readPreface } from './proxy-preface.ts';

/** What a {@link PeerGate} is made of. */
export interface PeerGateParts {
  readonly proxies: TrustedProxies;
  /** Whether trusted proxies begin each connection with a header of the PROXY protocol. */
  readonly readsPreface: boolean;
  /** Counts by address. Undefined if `EDGE_TRUSTED_PROXIES` is not set, because an address may then be that of a balancer. */
  readonly addresses: OwnerTable | undefined;
  readonly guard: LimitGuard;
  /** The most connections whose header has not arrived. A further one closes the one that has waited longest. */
  readonly mostUnread: number;
  /** Called for each connection of a trusted proxy that is refused for its header. */
  readonly onPrefaceFault: (fault: PrefaceFault) => void;
}

/** What is known of a connection before its first request. */
interface Peer {
  readonly address: string;
  /** The owner that the connection counts for; undefined if a trusted proxy opened it for itself or for many clients. */
  readonly owner: Owner | undefined;
  /** Whether its handshake must be refused, because its address has made too many. */
  readonly isBeyond: boolean;
  /** Whether it counts as a connection that is no WebSocket. */
  isPlain: boolean;
}

/**
 * Decides about connections by their addresses, as early as the address is known: when one is accepted; behind a proxy
 * that speaks the PROXY protocol, when its header was read; behind a proxy that sends `X-Forwarded-For`, when a handshake
 * comes. Trusted proxies themselves are not limited, because they stand for many clients.
 */
export class PeerGate implements ConnectionGate {
  readonly #parts: PeerGateParts;
  readonly #peers = new WeakMap<Socket, Peer>();
  /** Connections whose header has not arrived, the oldest first. */
  readonly #unread = new Set<Socket>();

  constructor(parts: PeerGateParts) {
    this.#parts = parts;
  }

  /** See `ConnectionGate`. No byte of the connection was read, so a refusal costs no more than the accept. */
  refuses(socket: Socket): boolean {
    if (this.#parts.addresses === undefined) return false;
    const address = canonicalAddress(socket.remoteAddress ?? '');
    if (address !== undefined && this.#parts.proxies.includes(address)) return false;
    if (address !== undefined) return !this.#admits(socket, address);
    // The peer has gone already.
    socket.destroy();
    return true;
  }

  /** See `ConnectionGate`. */
  open(socket: Socket, serve: () => void): void {
    const { proxies, readsPreface } = this.#parts;
    if (!readsPreface || !proxies.includes(canonicalAddress(socket.remoteAddress ?? '') ?? '')) {
      serve();
      return;
    }
    this.#makeRoom();
    this.#unread.add(socket);
    readPreface(socket, (end) => {
      this.#unread.delete(socket);
      if (typeof end === 'string') this.#refusePreface(socket, end);
      else if (this.#admitsClient(socket, end.address)) serve();
    });
  }

  /** See `ConnectionGate`. */
  secured(accepted: Socket, secured: Socket): void {
    const peer = this.#peers.get(accepted);
    if (peer !== undefined) this.#peers.set(secured, peer);
  }

  /** See `ConnectionGate`. */
  closed(socket: Socket): void {
    const peer = this.#peers.get(socket);
    if (peer !== undefined) this.#endPlain(peer);
  }

  /** The canonical address of the client that sent a request. Empty if the client is gone already. */
  addressOf({ socket, headers }: IncomingMessage): string {
    const known = this.#peers.get(socket)?.address;
    const peer = known ?? canonicalAddress(socket.remoteAddress ?? '') ?? '';
    if (peer === '') return peer;
    // Node joins several headers of this name by commas, in their order.
    return this.#parts.proxies.clientOf(peer, headers['x-forwarded-for'] as string | undefined);
  }

  /** Charges a handshake to its address. Returns the code with which it must be refused; undefined if it may proceed. */
  excess({ socket }: IncomingMessage, address: string): ErrorCode | undefined {
    const owner = this.#ownerOf(address);
    if (owner === undefined) return undefined;
    const { guard } = this.#parts;
    // A connection that was counted when it was accepted is not counted again.
    const peer = this.#peers.get(socket);
    const isBeyond = peer?.owner === owner ? peer.isBeyond : this.#isBeyond(owner);
    if (isBeyond) return 'rate_limited';
    if (!owner.isFull && !owner.isFullOfUnidentified) return undefined;
    guard.isFull(owner.isFull ? 'address_connections' : 'unidentified');
    return 'rate_limited';
  }

  /** Counts a client after its handshake. Returns the owner that it counts for, which the caller must pass to {@link releaseClient} once the connection has ended. */
  countClient(socket: Socket, address: string): Owner | undefined {
    const owner = this.#ownerOf(address);
    if (owner !== undefined) this.#parts.addresses?.addConnection(owner, 'connections');
    const peer = this.#peers.get(socket);
    if (peer !== undefined) this.#endPlain(peer);
    return owner;
  }

  /** Uncounts a client that {@link countClient} counted for this owner. */
  releaseClient(owner: Owner | undefined): void {
    if (owner !== undefined) this.#parts.addresses?.removeConnection(owner, 'connections');
  }

  #ownerOf(address: string): Owner | undefined {
    const { addresses, proxies } = this.#parts;
    if (addresses === undefined || address === '' || proxies.includes(address)) return undefined;
    return addresses.find(networkOf(address));
  }

  #isBeyond(owner: Owner): boolean {
    const isWithin = owner.take('handshakes', performance.now());
    return !isWithin && this.#parts.guard.refuses('address_handshakes');
  }

  /** Whether a connection from this address may be served. If not, it was reset. */
  #admits(socket: Socket, address: string): boolean {
    const { addresses, guard } = this.#parts;
    const owner = this.#ownerOf(address);
    if (owner === undefined) {
      this.#peers.set(socket, { address, owner, isBeyond: false, isPlain: false });
      return true;
    }
    const isBeyond = this.#isBeyond(owner);
    const isTold = !isBeyond || owner.take('refusals', performance.now());
    if (isTold && owner.isFullOfPlain) guard.isFull('address_http_connections');
    if (!isTold || owner.isFullOfPlain) {
      // A close would leave the connection in the kernel for a minute (TIME_WAIT).
      socket.resetAndDestroy();
      return false;
    }
    addresses?.addConnection(owner, 'plain');
    this.#peers.set(socket, { address, owner, isBeyond, isPlain: true });
    return true;
  }

  /** Like {@link #admits}, for the client that a proxy has named. A proxy that names none speaks for itself, and may be served. */
  #admitsClient(socket: Socket, address: string | undefined): boolean {
    return address === undefined || this.#admits(socket, address);
  }

  #refusePreface(socket: Socket, fault: PrefaceFault): void {
    socket.destroy();
    this.#parts.onPrefaceFault(fault);
  }

  #makeRoom(): void {
    if (this.#unread.size < this.#parts.mostUnread) return;
    const [longest] = this.#unread;
    longest?.destroy();
  }

  #endPlain(peer: Peer): void {
    if (!peer.isPlain || peer.owner === undefined) return;
    peer.isPlain = false;
    this.#parts.addresses?.removeConnection(peer.owner, 'plain');
  }
}
