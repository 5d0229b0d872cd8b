import { expect, it } from 'vitest';
import { readRollCommand } from './settings.ts';

it('reads nodes by URL, with and without a name', () => {
  const command = readRollCommand(['--node', 'a=http://h:1/', '--node', 'http://10.0.0.4:9080']);
  expect(command.task).toEqual({ kind: 'roll' });
  expect(command.nodes).toEqual([
    { name: 'a', adminUrl: 'http://h:1' },
    { name: '10.0.0.4:9080', adminUrl: 'http://10.0.0.4:9080' },
  ]);
  expect(command.roll).toMatchObject({ parallel: 1, drainTimeoutMs: 90_000 });
});

it('reads an instance group and the other commands', () => {
  const group = ['--mig', 'edges', '--region', 'r'];
  expect(readRollCommand([...group, '--remove', 'a'])).toMatchObject({
    task: { kind: 'remove', node: 'a' },
    nodes: { name: 'edges', region: 'r', adminPort: 9080 },
  });
  expect(readRollCommand([...group, '--rebalance', '--over', '30'])).toMatchObject({
    task: { kind: 'rebalance' },
    rebalance: { overSeconds: 30, tolerance: 0.1 },
  });
});

it.each([
  [[], 'name the nodes by --node or by --mig'],
  [['--node', 'http://a', '--mig', 'b'], 'name the nodes by --node or by --mig'],
  [['--mig', 'b'], '--mig needs --region'],
  [['--node', 'edge-1'], '--node edge-1 is not [NAME=]URL'],
  [['--node', 'http://a', '--parallel', '0'], '--parallel must be a number from 1 to 1000'],
  [['--node', 'http://a', '--remove', 'a', '--rebalance'], 'are two commands'],
  [['--nodes', 'http://a'], "Unknown option '--nodes'"],
  [['--node', 'http://a', '--token-file', '/nowhere'], '--token-file: ENOENT'],
] as const)('refuses %j', (args, message) => {
  expect(() => readRollCommand(args)).toThrow(message);
});
