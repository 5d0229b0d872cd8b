import { loadFromCLibrary, type Require } from './native-library.ts';

/**
 * `send` of the C library: returns how many bytes the kernel took, or -1. It reads `length` bytes of memory,
 * whether or not there are so many.
 */
export type KernelSend = (
  descriptor: number,
  bytes: Uint8Array,
  length: number,
  flags: number,
) => number;

/**
 * Flags of Linux on each of Node's platforms: the call does not wait, and a broken connection is an
 * error and no signal. Node's sockets do not wait as it is, and it ignores the signal; this does not rely on it.
 */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
export const SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

/** koffi has no `ssize_t`; this is as wide, and comes as a number. */
const SEND = 'intptr_t send(int, const void *, size_t, int)';

/**
 * The C library's `send`, through koffi.
 *
 * @throws Error where there is none: on another system than Linux, whose flags are others, or where koffi
 *   does not load.
 */
export function loadKernelSend(
  platform: NodeJS.Platform = process.platform,
  require?: Require,
): KernelSend {
  if (platform !== 'linux') throw new Error(`send is called on Linux only; this is ${platform}`);
  return loadFromCLibrary(SEND, require) as KernelSend;
}
