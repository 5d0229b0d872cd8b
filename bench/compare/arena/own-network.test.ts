import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { startProcess, WORKSPACE_NODE, WORKSPACE_ROOT } from '@tradewind/dev';
import { describe, expect, it } from 'vitest';
import { bringOwnNetwork, withOwnNetwork } from './own-network.ts';

/** Listens on its loopback, connects to itself and to a port of the machine, and reports both results. */
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

const OUTPUT_DEADLINE_MS = 10_000;

const isPossible = await bringOwnNetwork(console.log);

describe.skipIf(!isPossible)('a network of its own', () => {
  it('has a loopback that works, and nothing of the machine', async () => {
    await using server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { readonly port: number };
    const command = [process.execPath, '--eval', LOOK_AROUND, String(port)] as const;
    expect(await lookAround([process.execPath, command.slice(1)])).toMatchObject({
      own: 'reached',
      machine: 'reached',
    });
    expect(await lookAround(withOwnNetwork(command))).toEqual({
      interfaces: ['lo'],
      own: 'reached',
      machine: 'ECONNREFUSED',
    });
  });

  it('buffers for a socket as much as a machine that we deploy', async () => {
    const read = ['sh', '-c', 'cat /proc/sys/net/ipv4/tcp_wmem'] as const;
    const { stdout } = await promisify(execFile)(...withOwnNetwork(read));
    expect(stdout.trim().split(/\s+/)).toEqual(['4096', '16384', '131072']);
  });

  it('is found by a program that runs itself again, with its arguments; its exit code is returned', async () => {
    await using program = await startProgram(['a b', '--c']);
    const found = await program.waitForLine(toObject, OUTPUT_DEADLINE_MS);
    expect(found).toMatchObject({ network: 'own', args: ['a b', '--c'] });
    expect(await program.exited).toMatchObject({ code: 3 });
  });

  it('ends if the process that made it is killed', async () => {
    await using program = await startProgram(['stay']);
    await program.waitForLine(toObject, OUTPUT_DEADLINE_MS);
    program.signal('SIGKILL');
    // The end is reported once nobody holds the program's output, and the program that it started holds it too.
    expect(await program.exited).toMatchObject({ signal: 'SIGKILL' });
  });
});

async function lookAround([program, args]: ReturnType<typeof withOwnNetwork>): Promise<unknown> {
  const { stdout } = await promisify(execFile)(program, args);
  return JSON.parse(stdout);
}

async function startProgram(args: readonly string[]) {
  return await startProcess({
    name: 'network program',
    command: WORKSPACE_NODE,
    args: ['bench/compare/arena/testing/network-program.ts', ...args],
    env: { PATH: process.env.PATH },
    cwd: WORKSPACE_ROOT,
  });
}

function toObject(line: string): unknown {
  return line.startsWith('{') ? JSON.parse(line) : undefined;
}
