import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, expect, it } from 'vitest';
import { findFreePort } from './free-port.ts';

async function listening(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/** A port that nobody has, and that nobody was given. */
async function unusedPort(): Promise<number> {
  const { server, port } = await listening();
  server.close();
  await once(server, 'close');
  return port;
}

/** Tries these ports, one after the other. */
function inTurn(...ports: readonly number[]): () => number {
  const left = [...ports];
  return () => {
    const port = left.shift();
    if (port === undefined) throw new Error('more ports were tried than there are');
    return port;
  };
}

describe('a free port', () => {
  it('is none on which a server listens', async () => {
    const { server, port } = await listening();
    const other = await unusedPort();

    expect(await findFreePort(inTurn(port, other))).toBe(other);
    server.close();
  });

  it('is given to one caller, although the server that it is for starts later', async () => {
    const [first, second] = [await unusedPort(), await unusedPort()];

    expect(await findFreePort(inTurn(first))).toBe(first);
    expect(await findFreePort(inTurn(first, second))).toBe(second);
  });

  it('is none that another process was given', async () => {
    const lease = createSocket('udp4').bind(0, '127.0.0.1');
    await once(lease, 'listening');
    const other = await unusedPort();

    expect(await findFreePort(inTurn(lease.address().port, other))).toBe(other);
    lease.close();
  });
});
