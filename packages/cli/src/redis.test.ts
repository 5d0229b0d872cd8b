import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { connectRedis } from './redis.ts';

/** A master of all slots, whose users may not PING. Returns its port. */
async function startMasterWithoutPing(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const commands = String(data)
        .split(/^\*\d+\r\n/m)
        .slice(1);
      for (const command of commands) {
        const words = command.split('\r\n').filter((_, i) => i % 2 === 1);
        socket.write(answerTo(words.join(' ').toLowerCase()));
      }
    });
  });
  const answerTo = (command: string): string => {
    if (command === 'cluster slots') {
      return `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:${port}\r\n`;
    }
    if (command === 'cluster info') return '$16\r\ncluster_state:ok\r\n';
    if (command === 'info') return '$9\r\nloading:0\r\n';
    if (command === 'ping') return "-NOPERM User u has no permissions to run 'ping'\r\n";
    return '+OK\r\n';
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return port;
}

it('says what a Cluster answers, although one of the hosts was not there before', async () => {
  // ioredis shuffles the hosts; so the one that is not there comes first.
  vi.spyOn(Math, 'random').mockReturnValue(0.999);
  onTestFinished(() => void vi.restoreAllMocks());
  const redisUrl = `redis://127.0.0.1:1,127.0.0.1:${await startMasterWithoutPing()}`;
  const connecting = connectRedis({ redisUrl, redisPassword: undefined, isCluster: true });
  await expect(connecting).rejects.toThrow(/^Redis at .*: NOPERM/);
});

it('names the host of a Cluster that it failed at, while none is reached', async () => {
  const redisUrl = 'redis://127.0.0.1:1,127.0.0.1:2';
  const connecting = connectRedis({ redisUrl, redisPassword: undefined, isCluster: true });
  await expect(connecting).rejects.toThrow(/: 127\.0\.0\.1:[12]: \S/);
});
