import type { Server } from 'node:net';

/** The address to listen on, and the variable that sets it. */
export interface ListenAddress {
  readonly host: string;
  /** The port. 0 for a free one. */
  readonly port: number;
  /** Whether to share the port with other servers that do the same. The kernel spreads connections over them. */
  readonly reusePort: boolean;
  /** The variable of the port, which ends in `PORT`. The variable of the host is named alike. */
  readonly portSetting: string;
}

/**
 * Connections that wait in the kernel until they are accepted, as far as `net.core.somaxconn` allows. Node asks for 511 by default: of
 * 10,000 clients that come at once the others would get no answer, and try again after 1, 2, 4 … s. An edge accepts some
 * thousands a second, so the last of them waits for some seconds, and a client waits 10 s for its `welcome`.
 */
const BACKLOG = 16_384;

/**
 * Listens from now on and returns the port.
 *
 * @throws Error with a plain message that names the setting to change.
 */
export async function listenOn(server: Server, address: ListenAddress): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    function fail(error: NodeJS.ErrnoException): void {
      reject(new Error(listenFailure(error, address), { cause: error }));
    }
    server.once('error', fail);
    const { host, port, reusePort } = address;
    server.listen({ host, port, reusePort, backlog: BACKLOG }, () => {
      server.off('error', fail);
      resolve();
    });
  });
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : address.port;
}

function listenFailure(error: NodeJS.ErrnoException, address: ListenAddress): string {
  const { host, port, portSetting } = address;
  const hostSetting = portSetting.replace(/PORT$/, 'HOST');
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} is in use; set ${portSetting} to another`;
    case 'EACCES':
      return `port ${port} may not be opened by this user; set ${portSetting} to another`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is not an address of this machine; set ${hostSetting} to one (${error.code})`;
    default:
      return `cannot listen on ${host} port ${port}: ${error.message}`;
  }
}
