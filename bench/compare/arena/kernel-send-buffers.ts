import { readFileSync, writeFileSync } from 'node:fs';
import { DEPLOYED_BUFFERS } from './deployed-buffers.ts';

/** The smallest, first and largest size of a TCP socket's send buffer on this machine, in bytes. */
const TCP_WMEM = '/proc/sys/net/ipv4/tcp_wmem';

/** The sizes that we deploy. */
const DEPLOYED = DEPLOYED_BUFFERS.find(({ path }) => path === TCP_WMEM)?.value ?? '';

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
    writeFileSync(path, DEPLOYED);
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
