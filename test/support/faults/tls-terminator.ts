import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { promisify } from 'node:util';
import { bringFromDebian } from '@tradewind/dev';

const run = promisify(execFile);

/** Terminates TLS on 127.0.0.1 and passes the bytes on, like the load balancer of a deployment. */
export interface TlsTerminator extends AsyncDisposable {
  readonly port: number;
  /** Its certificate for `localhost` and 127.0.0.1: a PEM file for `NODE_EXTRA_CA_CERTS`, until the terminator ends. */
  readonly certificateFile: string;
  /** The server names (SNI) that clients sent, false for none; one for each connection that was secured. */
  readonly serverNames: readonly (string | false)[];
}

/**
 * Whether there is an `openssl`, which {@link startTlsTerminator} needs for its certificate. As root on Debian it is
 * installed by apt if it is missing.
 */
export async function bringOpenssl(): Promise<boolean> {
  const find = () =>
    run('openssl', ['version']).then(
      () => 'openssl',
      () => undefined,
    );
  return (await bringFromDebian(find, ['openssl'], console.log)) !== undefined;
}

/**
 * Starts a terminator with a certificate that it has signed itself. The caller ends it, and its connections with it.
 *
 * @param port the port on 127.0.0.1 that receives the bytes.
 */
export async function startTlsTerminator(port: number): Promise<TlsTerminator> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'tls-terminator-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const keyFile = join(folder, 'key.pem');
  const certificateFile = join(folder, 'certificate.pem');
  await run('openssl', [
    ...['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-newkey', 'rsa:2048', '-keyout', keyFile, '-out', certificateFile],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
  ]);
  const sockets = new Set<Socket>();
  const own = (socket: Socket, other: Socket): void => {
    sockets.add(socket);
    // A broken socket is closed, and closing one side closes the other.
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      other.destroySoon();
    });
  };
  const serverNames: (string | false)[] = [];
  const [key, cert] = await Promise.all([readFile(keyFile), readFile(certificateFile)]);
  const server = createServer({ key, cert, noDelay: true }, (client) => {
    serverNames.push(client.servername ?? false);
    const backend = connect({ host: '127.0.0.1', port, noDelay: true });
    own(client, backend);
    own(backend, client);
    client.pipe(backend);
    backend.pipe(client);
  });
  // Includes those whose handshake never ends, for which closing would wait.
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  const owned = stack.move();
  return {
    port: (server.address() as AddressInfo).port,
    certificateFile,
    serverNames,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
