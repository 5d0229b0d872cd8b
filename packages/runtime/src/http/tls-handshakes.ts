import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/**
 * Calls the listener for each connection whose TLS handshake is done, with the socket that was accepted and the one that is read and
 * written from then on. A server reports both, and Node has no public way from one to the other; but both have the same peer.
 *
 * @param server which must have no connection yet.
 */
export function onSecured(
  server: Server,
  listener: (accepted: Socket, secured: TLSSocket) => void,
): void {
  /** Connections whose handshake is not done, by their peer. */
  const pending = new Map<string, Socket>();
  server.on('connection', (accepted: Socket) => {
    const peer = peerOf(accepted);
    pending.set(peer, accepted);
    accepted.once('close', () => {
      if (pending.get(peer) === accepted) pending.delete(peer);
    });
  });
  server.on('secureConnection', (secured) => {
    const peer = peerOf(secured);
    const accepted = pending.get(peer);
    pending.delete(peer);
    if (accepted === undefined) secured.destroy();
    else listener(accepted, secured);
  });
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
