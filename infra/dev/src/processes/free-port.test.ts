import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { findFreePort } from './free-port.ts';

const { randomInt } = vi.hoisted(() => ({ randomInt: vi.fn() }));
vi.mock('node:crypto', async (original) => ({ ...(await original<object>()), randomInt }));

describe('a free port', () => {
  it('is none on which a server listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    randomInt.mockReturnValueOnce(port).mockReturnValueOnce(19_001);

    expect(await findFreePort()).toBe(19_001);
    server.close();
  });

  it('is given to one caller, although the server that it is for starts later', async () => {
    randomInt.mockReturnValueOnce(19_002).mockReturnValueOnce(19_002).mockReturnValueOnce(19_003);

    expect(await findFreePort()).toBe(19_002);
    expect(await findFreePort()).toBe(19_003);
  });

  it('is none that another process was given', async () => {
    const lease = createSocket('udp4').bind(19_004, '127.0.0.1');
    await once(lease, 'listening');
    randomInt.mockReturnValueOnce(19_004).mockReturnValueOnce(19_005);

    expect(await findFreePort()).toBe(19_005);
    lease.close();
  });
});
