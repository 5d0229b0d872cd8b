import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { ClusterCommands } from './cluster-commands.ts';

it('makes a new link with the password of now, not with that of the start', async () => {
  const firstBytes = Promise.withResolvers<string>();
  const node = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => firstBytes.resolve(bytes.toString('latin1')));
  });
  node.listen(0, '127.0.0.1');
  await once(node, 'listening');
  onTestFinished(() => void node.close());
  const commands = new ClusterCommands(
    {
      // Nobody listens there.
      ...{ mode: 'cluster', url: 'redis://127.0.0.1:1', certificateAuthority: undefined },
      ...{ password: undefined, rereadPassword: () => 'token-of-now', connectionName: 'test' },
    },
    { available() {}, unavailable() {} },
  );
  onTestFinished(() => commands.stop());
  commands.start();
  commands.map.moved(0, { host: '127.0.0.1', port: (node.address() as AddressInfo).port });
  expect(await firstBytes.promise).toContain('token-of-now');
});
