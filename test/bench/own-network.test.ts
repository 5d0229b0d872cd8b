import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { canHaveOwnNetwork, currentNetwork, withOwnNetwork } from './own-network.ts';

/** Listens on its loopback, connects to itself and to a port of the machine's, and tells what came of it. */
const LOOK_AROUND = `
  const net = require('node:net');
  const [, machinePort] = process.argv;
  const reach = (port) => new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => { socket.destroy(); resolve('reached'); });
    socket.on('error', ({ code }) => resolve(code));
  });
  const server = net.createServer().listen(0, '127.0.0.1', async () => {
    const own = await reach(server.address().port);
    const machine = await reach(Number(machinePort));
    server.close();
    const interfaces = Object.keys(require('node:os').networkInterfaces());
    console.log(JSON.stringify({ interfaces, own, machine }));
  });
`;

const isPossible = await canHaveOwnNetwork();

describe('withOwnNetwork', () => {
  it.skipIf(!isPossible)('has a loopback that works, and nothing of the machine', async () => {
    await using server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { readonly port: number };
    const command = [process.execPath, '--eval', LOOK_AROUND, String(port)] as const;
    const outside = await lookAround(command);
    const inside = await lookAround(withOwnNetwork(command));
    expect(outside).toMatchObject({ own: 'reached', machine: 'reached' });
    expect(inside).toEqual({ interfaces: ['lo'], own: 'reached', machine: 'ECONNREFUSED' });
  });

  it('is the network of a program that was started in it', () => {
    expect(currentNetwork({})).toBe('machine');
    expect(currentNetwork({ TRADEWIND_BENCH_NETWORK: 'own' })).toBe('own');
  });
});

async function lookAround([program, ...args]: readonly [string, ...string[]]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(program, args);
  return JSON.parse(stdout);
}
