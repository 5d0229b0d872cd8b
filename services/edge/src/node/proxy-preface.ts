import type { Socket } from 'node:net';
import { readProxyHeader } from '../owners/proxy-header.ts';

/** Time for the header of a proxy, in ms. It sends it at once; the time is that for the header of a request. */
const PREFACE_DEADLINE_MS = 5_000;

/** Why a connection of a trusted proxy is refused before anything of the client is read. */
export type PrefaceFault = 'malformed' | 'late' | 'closed';

/** What a proxy says of the connection that it passes on. */
export interface Preface {
  /** The canonical address of its client. Undefined if it speaks for itself, with such a header or without one. */
  readonly address: string | undefined;
}

/**
 * Reads the header that may precede all bytes of the client, also those of TLS. What follows it stays in the socket. The
 * socket must not have been read, and whoever hears the end owns it again.
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
