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
 * @param length how many of the bytes, from the first on. Not so many, or fewer than none, is a mistake of the caller's:
 *   a RangeError.
 */
export type DirectWrite = (descriptor: number, bytes: Uint8Array, length: number) => number;

/** How frames go to the kernel: directly, by one of its calls, or through the sockets' streams. */
export type WriteCall = 'send' | 'write' | 'stream';

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
 * What writes directly by a call of the kernel. By `send` it does not look at the inode and the directory entry
 * behind a socket, and reaches nothing but sockets. For `stream`, which nothing is written by directly, it is
 * that of `write`.
 *
 * @throws Error where there is no `send`.
 */
export function directWriteBy(call: WriteCall): DirectWrite {
  return call === 'send' ? throughSend(loadKernelSend()) : writeAsFile;
}

/**
 * The call that is asked for, or `write` where there is no `send`. Asked of the main thread: what it has loaded stays
 * loaded when a worker thread that uses it ends.
 *
 * @param failed is told why there is no `send`.
 */
export function availableCall(asked: WriteCall, failed: (error: unknown) => void): WriteCall {
  if (asked !== 'send') return asked;
  try {
    loadKernelSend();
    return 'send';
  } catch (error) {
    failed(error);
    return 'write';
  }
}

function throughSend(send: KernelSend): DirectWrite {
  return (descriptor, bytes, length) => {
    checkLength(bytes, length);
    return Math.max(0, send(descriptor, bytes, length, SEND_FLAGS));
  };
}

/** `send` would read what lies behind the bytes. */
function checkLength(bytes: Uint8Array, length: number): void {
  if (length >= 0 && length <= bytes.length) return;
  throw new RangeError(`${length} of ${bytes.length} bytes`);
}
