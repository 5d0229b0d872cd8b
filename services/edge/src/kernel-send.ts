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
 * error and no signal.
 */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
export const SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

/** Where a program's own functions, with those of its C library, are found: in no file. */
const THIS_PROGRAM = null;

/**
 * The C library's `send`, through koffi, or undefined where there is none: on another system than Linux,
 * or where koffi has no native code for the machine.
 */
export function loadKernelSend(
  platform: NodeJS.Platform = process.platform,
): KernelSend | undefined {
  if (platform !== 'linux') return undefined;
  try {
    const { load } = createRequire(import.meta.url)('koffi') as ForeignFunctions;
    const prototype = 'intptr_t send(int, const void *, size_t, int)';
    return load(THIS_PROGRAM).func(prototype) as KernelSend;
  } catch {
    return undefined;
  }
}
