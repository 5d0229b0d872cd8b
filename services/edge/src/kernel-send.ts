import { createRequire } from 'node:module';

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

/** As much of koffi as is used. */
interface ForeignFunctions {
  load(library: string | null): { func(prototype: string): unknown };
}

/**
 * Flags of Linux on each of Node's platforms: the call does not wait, and a broken connection is an
 * error and no signal. Node's sockets do not wait as it is, and it ignores the signal; this does not rely on it.
 */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
export const SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

/** For `dlsym`: the program itself and all that it has loaded, so its C library, whichever that is. */
const THIS_PROGRAM = null;

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
  require: (name: string) => unknown = createRequire(import.meta.url),
): KernelSend {
  if (platform !== 'linux') throw new Error(`send is called on Linux only; this is ${platform}`);
  const { load } = require('koffi') as ForeignFunctions;
  return load(THIS_PROGRAM).func(SEND) as KernelSend;
}
