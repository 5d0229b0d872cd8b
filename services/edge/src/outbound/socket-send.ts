import { createRequire } from 'node:module';
import { Socket } from 'node:net';

/** In place of a descriptor: the socket is written to only through its stream. */
export const NO_DESCRIPTOR = -1;

/**
 * The file descriptor of a connected TCP socket for {@link DirectSend}, or {@link NO_DESCRIPTOR} if there is none: on Windows, in
 * a Node that no longer exposes it, and for a socket whose bytes are not those on the wire (TLS). The socket owns the descriptor.
 * As soon as the socket is destroyed, the number may belong to another file.
 */
export function descriptorOf(socket: Socket): number {
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return NO_DESCRIPTOR;
  // Node does not document the field: docs/adr/0011 says what it saves, and what happens when it is gone.
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } };
  const descriptor = handle?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : NO_DESCRIPTOR;
}

/**
 * Gives bytes to the kernel without the socket's stream. Returns how many the kernel took: fewer than `length`, or none, if its
 * buffer is full or the connection is broken. The caller must write the rest to the stream, which waits or fails as always. So
 * errors are reported in one place.
 *
 * @param descriptor of a socket that is not destroyed and whose stream holds nothing.
 * @param length how many of the bytes to send, from the first on.
 * @throws {RangeError} if there are not that many bytes.
 */
export type DirectSend = (descriptor: number, bytes: Uint8Array, length: number) => number;

/** How frames go to the kernel: by its call `send`, or through the sockets' streams. */
export type WriteMode = 'send' | 'stream';

/** Sends nothing, so that everything goes through the stream. */
export const sendNothing: DirectSend = () => 0;

/** Loads a package. */
export type Require = (name: string) => unknown;

/** The part of koffi that is used. `null` stands for the program itself and all libraries that it has loaded, such as the C library. */
interface ForeignFunctions {
  load(library: null): { func(prototype: string): unknown };
}

/** Returns how many bytes the kernel took, or -1. It reads `length` bytes of memory, whatever the size of the buffer. */
type KernelSend = (descriptor: number, bytes: Uint8Array, length: number, flags: number) => number;

/** koffi has no `ssize_t`. `intptr_t` is as wide, and is returned as a number. */
const SEND = 'intptr_t send(int, const void *, size_t, int)';

/**
 * Flags of Linux on all of Node's platforms: the call does not block, and a broken connection is an error and not a signal. Node's
 * sockets do not block anyway, and Node ignores the signal, but this code does not rely on that.
 */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

/**
 * `send` of the C library, through koffi. Unlike `write`, it does not touch the inode and the directory entry of a socket, and it
 * fails for anything but a socket.
 *
 * @throws {Error} on any system but Linux, because flags differ there, and if koffi does not load.
 */
export function loadSend(
  platform: NodeJS.Platform = process.platform,
  require: Require = createRequire(import.meta.url),
): DirectSend {
  if (platform !== 'linux') throw new Error(`send is called on Linux only; this is ${platform}`);
  const { load } = require('koffi') as ForeignFunctions;
  const send = load(null).func(SEND) as KernelSend;
  return (descriptor, bytes, length) => {
    // Otherwise `send` would read memory beyond the bytes.
    if (!(length >= 0 && length <= bytes.length)) {
      throw new RangeError(`${length} of ${bytes.length} bytes`);
    }
    return Math.max(0, send(descriptor, bytes, length, FLAGS));
  };
}

/**
 * The requested mode, or `stream` if `send` does not load. Call it in the main thread, so that koffi stays loaded when a worker
 * thread that uses it ends.
 *
 * @param failed called with the reason why `send` does not load.
 */
export function availableMode(asked: WriteMode, failed: (error: unknown) => void): WriteMode {
  if (asked === 'stream') return asked;
  try {
    loadSend();
    return asked;
  } catch (error) {
    failed(error);
    return 'stream';
  }
}
