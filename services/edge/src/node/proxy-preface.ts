import type { Socket } from 'node:net';
import { readProxyHeader } from '../owners/proxy-header.ts';

/** The time in which a proxy must send its header, in ms: as much as a client has for the header of a request, although proxies send at once. */
const PREFACE_DEADLINE_MS = 5_000;

/** Why a connection of a trusted proxy is refused before anything of the client is read. */
export type PrefaceFault = 'malformed' | 'late' | 'closed';

/** What a proxy says of the connection that it forwards. */
export interface Preface {
  /** The canonical address of its client. Undefined if it speaks for itself, with such a header or without one. */
  readonly address: string | undefined;
}

/**
 * Reads the header that may precede all bytes of the client, including those of TLS. The bytes after it stay in the socket. Nothing
 * may have been read from the socket before. Its owner must not touch it until `onEnd` is called, and must then end it if there is a
 * fault.
 */
export function readPreface(socket: Socket, onEnd: (end: Preface | PrefaceFault) => void): void {
  let bytes: Buffer = Buffer.alloc(0);
  const end = (result: Preface | PrefaceFault): void => {
    clearTimeout(timer);
    socket.off('readable', read).off('end', close).off('close', close).off('error', ignore);
    onEnd(result);
  };
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    bytes = Buffer.concat([bytes, chunk]);
    const header = readProxyHeader(bytes);
    if (header.kind === 'incomplete') return;
    if (header.kind === 'malformed') {
      end('malformed');
      return;
    }
    const isAbsent = header.kind === 'absent';
    const rest = isAbsent ? bytes : bytes.subarray(header.length);
    if (rest.length > 0) socket.unshift(rest);
    end({ address: isAbsent ? undefined : header.address });
  };
  const close = (): void => end('closed');
  const timer = setTimeout(() => end('late'), PREFACE_DEADLINE_MS);
  socket.on('readable', read).on('end', close).on('close', close).on('error', ignore);
}

function ignore(): void {}
