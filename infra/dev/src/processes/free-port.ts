import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * The range of ports to choose from. It lies below the ranges from which Linux (32768) and macOS (49152) take source ports of
 * outgoing connections. A client that retries a server on a port of those ranges can get that very port as its own, connect
 * to itself, and keep the server from starting again.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;

/** Consecutive busy ports after which the search fails. */
const MAX_ATTEMPTS = 50;

/**
 * Returns a port of 127.0.0.1 on which nothing listens now, and that no outgoing connection is likely to take while a server
 * on it restarts. No other caller on this machine gets it while this process lives.
 *
 * @param choose a port to try, at each call.
 */
export async function findFreePort(choose = anyPort): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const port = choose();
    if ((await isPortFree(port)) && (await leasePort(port))) return port;
  }
  throw new Error(`no free port found between ${FIRST_PORT} and ${LAST_PORT}`);
}

function anyPort(): number {
  return randomInt(FIRST_PORT, LAST_PORT + 1);
}

/**
 * Takes the UDP port of the same number until this process ends. The server that a free TCP port is sought for starts later,
 * a container up to a second later, and another process would find the port free until then. Nothing is sent or received, and
 * the socket keeps no process alive. Returns false if another process has it.
 */
function leasePort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const lease = createSocket('udp4');
    lease.once('error', () => {
      lease.close();
      resolve(false);
    });
    lease.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      lease.unref();
      resolve(true);
    });
  });
}

/**
 * Returns the first free port of `count` ports from `first` on, so that what people copied yesterday is right today; any free
 * one if all of them are taken.
 */
export async function findPortFrom(first: number, count: number): Promise<number> {
  for (let port = first; port < first + count; port++) {
    if (await isPortFree(port)) return port;
  }
  return await findFreePort();
}

/** Whether a server could listen on `port` of `host` now. Any refusal counts as no. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host, exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}
