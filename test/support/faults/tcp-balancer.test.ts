import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { eventually } from '../suite/wait.ts';
import { type Backend, TcpBalancer } from './tcp-balancer.ts';

const CHECKS = { checkEveryMs: 50, failures: 2 };

const sockets: Socket[] = [];
const servers: Server[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

it('gives each new connection to the backend with the fewest', async () => {
  const backends = await Promise.all(['a', 'b'].map((name) => startBackend(name)));
  await using balancer = await TcpBalancer.start(backends, CHECKS);
  for (let i = 0; i < 10; i += 1) await open(balancer);
  await eventually(() => balancer.connections.a === 5 && balancer.connections.b === 5);
  const third = await startBackend('c');
  await balancer.add(third);
  for (let i = 0; i < 5; i += 1) await open(balancer);
  await eventually(() => balancer.connections.c === 5);
});

it('gives no more to a backend that is removed, no longer checks it, and leaves its connections open', async () => {
  const [first, second] = await Promise.all([startBackend('a'), startBackend('b')]);
  await using balancer = await TcpBalancer.start([first, second], CHECKS);
  await open(balancer);
  await open(balancer);
  await eventually(() => balancer.connections.a === 1 && balancer.connections.b === 1);
  expect(['a', 'b'].map((name) => balancer.isUp(name))).toEqual([true, true]);
  balancer.remove('a');
  expect(['a', 'b'].map((name) => balancer.isUp(name))).toEqual([false, true]);
  for (let i = 0; i < 4; i += 1) await open(balancer);
  await eventually(() => balancer.connections.b === 5);
  expect(balancer.connections.a).toBe(1);
  const [checksOfFirst, checksOfSecond] = [first.checks(), second.checks()];
  await eventually(() => second.checks() >= checksOfSecond + 3);
  // One check may have been in progress.
  expect(first.checks()).toBeLessThanOrEqual(checksOfFirst + 1);
});

it('gives no more to a backend after two failed checks, keeps its connections, and takes it back', async () => {
  const [first, second] = await Promise.all([startBackend('a'), startBackend('b')]);
  await using balancer = await TcpBalancer.start([first, second], CHECKS);
  for (let i = 0; i < 4; i += 1) await open(balancer);
  await eventually(() => balancer.connections.a === 2);
  const failedFrom = first.checks();
  first.setReady(false);
  await eventually(() => first.checks() >= failedFrom + 3);
  for (let i = 0; i < 4; i += 1) await open(balancer);
  await eventually(() => balancer.connections.b === 6);
  expect(balancer.connections.a).toBe(2);
  const goodFrom = first.checks();
  first.setReady(true);
  await eventually(() => first.checks() >= goodFrom + 2);
  await open(balancer);
  await eventually(() => balancer.connections.a === 3);
});

async function open(balancer: TcpBalancer): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: balancer.port });
  socket.on('error', () => {});
  sockets.push(socket);
  await new Promise((resolve) => socket.once('connect', resolve));
}

async function startBackend(name: string) {
  let isReady = true;
  let checks = 0;
  const server = createServer((_request, response) => {
    checks += 1;
    response.writeHead(isReady ? 200 : 503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  const { port } = server.address() as AddressInfo;
  const backend: Backend = { name, host: '127.0.0.1', port };
  return {
    ...backend,
    checks: () => checks,
    setReady(ready: boolean): void {
      isReady = ready;
    },
  };
}
