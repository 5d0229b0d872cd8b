import { readFileSync, writeFileSync } from 'node:fs';

/** The smallest, first and largest size of a TCP socket's send buffer on this machine, in bytes. */
const TCP_WMEM = '/proc/sys/net/ipv4/tcp_wmem';

/**
 * The bounds of production: 16 KiB at first, at most 64 KiB a socket, so that 40,000 stalled clients hold less than 3
 * GiB of kernel memory. The smallest size is the kernel's default.
 */
const PRODUCTION = '4096 16384 65536';

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Bounds of the kernel's send buffers, until they are disposed of. */
export interface SendBuffers extends Disposable {
  /** Smallest, first and largest size for sockets opened from now on, in bytes. */
  readonly sizes: string;
  /** Why they could not be bounded; undefined if they are. */
  readonly failure: string | undefined;
}

/**
 * Bounds the send buffers of all sockets that are opened from now on in this program's network, if the machine allows
 * it. Restores the sizes when it is disposed of, and also if this process exits or receives a signal that it can
 * handle.
 *
 * @param path the file of the sizes.
 */
export function boundSendBuffers(path: string = TCP_WMEM): SendBuffers {
  let before: string;
  try {
    before = readSizes(path);
  } catch (error) {
    const { message } = error as Error;
    return { sizes: 'unknown', failure: message, [Symbol.dispose]() {} };
  }
  try {
    writeFileSync(path, PRODUCTION);
  } catch (error) {
    const { message } = error as Error;
    return { sizes: before, failure: message, [Symbol.dispose]() {} };
  }

  function restore(): void {
    process.off('exit', restore);
    for (const signal of ENDING_SIGNALS) process.off(signal, restoreAndEnd);
    writeFileSync(path, before);
  }
  function restoreAndEnd(signal: NodeJS.Signals): void {
    restore();
    process.kill(process.pid, signal);
  }
  process.once('exit', restore);
  for (const signal of ENDING_SIGNALS) process.once(signal, restoreAndEnd);
  return { sizes: readSizes(path), failure: undefined, [Symbol.dispose]: restore };
}

function readSizes(path: string): string {
  return readFileSync(path, 'utf8').trim().split(/\s+/).join(' ');
}
