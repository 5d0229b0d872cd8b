import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { type KernelSend, loadKernelSend, SEND_FLAGS } from './kernel-send.ts';

/** Stands for the descriptor of a socket that is written to through its stream only. */
export const NO_DESCRIPTOR = -1;

/**
 * The file descriptor of a connected TCP socket, for {@link writeDirectly}, or {@link NO_DESCRIPTOR} where
 * there is none to be had: on Windows, in a Node that does not tell it any more, and of a socket whose bytes
 * are not what goes over the wire (TLS). It belongs to the socket, and stands for something else as soon as
 * the socket is destroyed.
 */
export function descriptorOf(socket: Socket): number {
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return NO_DESCRIPTOR;
  // Node does not document it: docs/adr/0011 says what it gives, and what there is should it go.
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } };
  const descriptor = handle?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : NO_DESCRIPTOR;
}

/**
 * Gives bytes to the kernel without the socket's stream. Returns how many it took: fewer than there are,
 * also none, when its buffer is full or the connection is broken. The rest is for the stream to write, which
 * waits or fails as it always does, so that errors have one way.
 *
 * @param descriptor of a socket that is not destroyed and whose stream holds nothing.
 * @param length how many of the bytes, from the first on; a RangeError if there are not so many.
 */
export type DirectWrite = (descriptor: number, bytes: Uint8Array, length: number) => number;

/** By `write`, through Node's file system, which is there on each machine. */
export const writeAsFile: DirectWrite = (descriptor, bytes, length) => {
  checkLength(bytes, length);
  try {
    return writeSync(descriptor, bytes, 0, length);
  } catch {
    return 0;
  }
};

/**
 * By `send`, which does not look at the file behind the socket, and reaches nothing but sockets. Undefined
 * where it cannot be had.
 */
export const writeAsSocket: DirectWrite | undefined = throughSend(loadKernelSend());

/** The cheapest that there is. */
export const writeDirectly: DirectWrite = writeAsSocket ?? writeAsFile;

/** The call of the kernel that it is. */
export const DIRECT_CALL = writeAsSocket === undefined ? 'write' : 'send';

function throughSend(send: KernelSend | undefined): DirectWrite | undefined {
  if (send === undefined) return undefined;
  return (descriptor, bytes, length) => {
    checkLength(bytes, length);
    return Math.max(0, send(descriptor, bytes, length, SEND_FLAGS));
  };
}

function checkLength(bytes: Uint8Array, length: number): void {
  if (length > bytes.length) throw new RangeError(`${length} of ${bytes.length} bytes`);
}
