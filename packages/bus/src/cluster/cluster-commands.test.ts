import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { type FakeRedis, startFakeRedis } from '../link/testing/fake-redis.ts';
import { TOPOLOGY_INTERVAL_MS } from '../redis-limits.ts';
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

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

const DOWN = '-CLUSTERDOWN The cluster is down\r\n';

/** What a node answers to CLUSTER SHARDS: one master has all slots. */
function shardsOf({ url }: FakeRedis): string {
  const master = ['endpoint', '127.0.0.1', 'port', new URL(url).port, 'role', 'master'];
  const fields = `*${master.length}\r\n${master.map(bulk).join('')}`;
  return `*1\r\n*4\r\n${bulk('slots')}*2\r\n:0\r\n:16383\r\n${bulk('nodes')}*1\r\n${fields}`;
}

it('asks for the successor soon after a master said that its cluster is down, a heartbeat included', async () => {
  let questions = 0;
  await using node = await startFakeRedis(([name = '', argument = '']) => {
    switch (name.toLowerCase()) {
      case 'cluster':
        if (argument.toLowerCase() === 'shards') return shardsOf(node);
        questions += 1;
        // It says that all is well: so a refusal is the only sign.
        return bulk('cluster_state:ok\r\ncluster_current_epoch:1\r\n');
      case 'multi':
        return '+OK\r\n';
      case 'set':
        return DOWN;
      // A probe is delivered all the same.
      case 'spublish':
        return argument === 'a' ? DOWN : ':1\r\n';
      case 'exec':
        return '-EXECABORT Transaction discarded because of previous errors.\r\n';
      default:
        return undefined;
    }
  });
  const commands = new ClusterCommands(
    {
      ...{ mode: 'cluster', url: node.url, certificateAuthority: undefined },
      ...{ password: undefined, connectionName: 'test' },
    },
    { available() {}, unavailable() {} },
  );
  onTestFinished(() => commands.stop());
  commands.start();
  // Sooner than by the interval, and as late as a busy machine may be.
  const soon = { timeout: 0.9 * TOPOLOGY_INTERVAL_MS, interval: 5 };
  const [name] = await vi.waitFor(() => {
    const names = [...commands.map.masters.keys()].filter((each) => commands.isAvailable(each));
    expect(names).toHaveLength(1);
    return names;
  }, 20_000);
  // After this question all is settled, and the next one follows after seconds.
  const early = questions;
  commands.map.settle(false);
  await vi.waitFor(() => expect(questions).toBeGreaterThan(early), soon);
  const down = { code: 'CLUSTERDOWN' };
  const before = questions;
  await expect(commands.publish('a', '1')).rejects.toMatchObject(down);
  await vi.waitFor(() => expect(questions).toBeGreaterThan(before), soon);
  const between = questions;
  expect((await commands.heartbeat(name!, '{0}:edge', 'token')).refusal).toMatchObject(down);
  await vi.waitFor(() => expect(questions).toBeGreaterThan(between), soon);
});
