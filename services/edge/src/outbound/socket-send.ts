import { createRequire } from 'node:module';
import { Socket } from 'node:net';

/** Stands for the descriptor of a socket that is written to only through its stream. */
export const NO_DESCRIPTOR = -1;

/**
 * The file descriptor of a connected TCP socket for {@link DirectSend}, or {@link NO_DESCRIPTOR} where there is none: on
 * Windows, in a Node that no longer has it, and for a socket whose bytes are not those on the wire (TLS). The socket owns the
 * descriptor. As soon as the socket is destroyed, the number stands for something else.
 */
export function descriptorOf(socket: Socket): number {
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return NO_DESCRIPTOR;
  // Node does not document the field: docs/adr/0011 says what it saves, and what happens when it is gone.
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } };
  const descriptor = handle?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : NO_DESCRIPTOR;
}

/**
 * Gives bytes to the kernel without the socket's stream. Returns how many the kernel took: fewer than there are, or none,
 * when its buffer is full or the connection is broken. The caller must write the rest to the stream, which waits or fails as
 * always, so errors take one way.
 *
 * @param descriptor of a socket that is not destroyed and whose stream holds nothing.
 * @param length how many of the bytes to send, from the first on.
 * @throws {RangeError} when there are not that many bytes.
 */
export type DirectSend = (descriptor: number, bytes: Uint8Array, length: number) => number;

/** How frames go to the kernel: by its call `send`, or through the sockets' streams. */
export type WriteMode = 'send' | 'stream';

/** Sends nothing, so that everything goes through the stream. */
export const sendNothing: DirectSend = () => 0;

/** Loads a package. */
export type Require = (name: string) => unknown;

/** The part of koffi that is used. `null` stands for the program itself and all that it has loaded, so its C library. */
interface ForeignFunctions {
  load(library: null): { func(prototype: string): unknown };
}

/** Returns how many bytes the kernel took, or -1. It reads `length` bytes of memory, whatever the buffer has. */
type KernelSend = (descriptor: number, bytes: Uint8Array, length: number, flags: number) => number;

/** koffi has no `ssize_t`. This is as wide, and comes as a number. */
const SEND = 'intptr_t send(int, const void *, size_t, int)';

/**
 * Flags of Linux on each of Node's platforms. The call does not wait, and a broken connection is an error and no signal. Node's
 * sockets do not wait anyway, and Node ignores the signal; this does not rely on it.
 */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

/**
 * `send` of the C library, through koffi. It does not look at the inode and the directory entry behind a socket, as `write` does, and
 * it reaches only sockets.
 *
 * @throws {Error} on another system than Linux, whose flags are different, and where koffi does not load.
 */
export function loadSend(
  platform: NodeJS.Platform = process.platform,
  require: Require = createRequire(import.meta.url),
): DirectSend {
  if (platform !== 'linux') throw new Error(`send is called on Linux only; this is ${platform}`);
  const { load } = require('koffi') as ForeignFunctions;
  const send = load(null).func(SEND) as KernelSend;
  return (descriptor, bytes, length) => {
    // Otherwise `send` would read what lies behind the bytes.
    if (!(length >= 0 && length <= bytes.length)) {
      throw new RangeError(`${length} of ${bytes.length} bytes`);
    }
    return Math.max(0, send(descriptor, bytes, length, FLAGS));
  };
}

/**
 * The mode that is asked for, or `stream` where there is no `send`. Call it in the main thread, so that koffi stays loaded when a
 * worker thread that uses it ends.
 *
 * @param failed is called with the reason why there is no `send`.
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
