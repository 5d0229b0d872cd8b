import { expect, it } from 'vitest';
import { documentedCommands } from '../../../test/support/documents/document-commands.ts';
import { readRollCommand } from './settings.ts';

it('reads nodes by URL, with and without a name', () => {
  const command = read(['--node', 'a=http://h:1/', '--node', 'http://10.0.0.4:9080']);
  expect(command.task).toEqual({ kind: 'roll' });
  expect(command.nodes).toEqual([
    { name: 'a', adminUrl: 'http://h:1' },
    { name: '10.0.0.4:9080', adminUrl: 'http://10.0.0.4:9080' },
  ]);
  expect(command.roll).toMatchObject({
    parallel: 1,
    plannedDrainMs: 60_000,
    drainTimeoutMs: 90_000,
  });
});

it('reads an instance group and the other commands', () => {
  const group = ['--mig', 'edges', '--region', 'r'];
  expect(read([...group, '--remove', 'a'])).toMatchObject({
    task: { kind: 'remove', node: 'a' },
    nodes: { name: 'edges', region: 'r', adminPort: 9080 },
  });
  expect(read([...group, '--rebalance', '--over', '30'])).toMatchObject({
    task: { kind: 'rebalance' },
    rebalance: { overSeconds: 30, tolerance: 0.1 },
  });
});

it('reads a surge, which also sets the nodes at a time, and a number of nodes to remove', () => {
  const group = ['--mig', 'edges', '--region', 'r'];
  expect(read([...group, '--surge', '3']).roll).toMatchObject({ surge: 3, parallel: 3 });
  expect(read([...group, '--surge', '3', '--parallel', '1']).roll).toMatchObject({ parallel: 1 });
  expect(read([...group, '--remove-count', '6']).task).toEqual({ kind: 'remove-count', count: 6 });
  expect(read([...group, '--clean-templates']).task).toEqual({ kind: 'clean-templates' });
});

it('extends the timeout by a longer drain', () => {
  const { roll } = read(['--node', 'http://a', '--drain-seconds', '300']);
  expect(roll).toMatchObject({ plannedDrainMs: 300_000, drainTimeoutMs: 330_000 });
});

it('needs a larger imbalance to move clients unasked', () => {
  const command = read(['--node', 'http://a', '--watch', '--interval', '5']);
  expect(command).toMatchObject({
    task: { kind: 'watch' },
    rebalance: { leastOff: 100 },
    watch: { intervalMs: 5_000, looks: 3, restMs: 900_000 },
  });
  expect(read(['--node', 'http://a', '--rebalance']).rebalance.leastOff).toBe(1);
});

it('reads the token from the named place, and from the environment otherwise', () => {
  const env = { ADMIN_TOKEN: 'sesame' };
  const node = ['--node', 'http://a'];
  expect(read(node).token).toEqual({ kind: 'none' });
  expect(readRollCommand(node, env).token).toEqual({ kind: 'variable', text: 'sesame' });
  expect(readRollCommand([...node, '--token-file', 'f'], env).token).toEqual({
    kind: 'file',
    paths: ['f'],
  });
  expect(read([...node, '--token-secret', 's', '--project', 'p']).token).toEqual({
    kind: 'secret',
    name: 's',
    project: 'p',
  });
});

it.each([
  [[], 'name the nodes by --node or by --mig'],
  [['--node', 'http://a', '--mig', 'b'], 'name the nodes by --node or by --mig'],
  [['--mig', 'b'], '--mig needs --region'],
  [['--node', 'edge-1'], '--node edge-1 is not [NAME=]URL'],
  [['--node', 'http://a', '--parallel', '0'], '--parallel must be a number from 1 to 1000'],
  [['--node', 'http://a', '--remove', 'a', '--rebalance'], 'are commands of their own'],
  [['--node', 'http://a', '--watch', '--rebalance'], 'are commands of their own'],
  [['--node', 'http://a', '--iap'], '--iap needs --mig'],
  [['--node', 'http://a', '--drain-timeout', '59'], '--drain-timeout must not be less'],
  [['--node', 'http://a', '--token-file', 'a', '--token-secret', 'b'], 'cannot be combined'],
  [['--node', 'http://a', '--surge', '1'], '--surge needs --mig'],
  [['--mig', 'a', '--region', 'r', '--surge', '1', '--watch'], '--surge is for a roll'],
  [
    ['--mig', 'a', '--region', 'r', '--remove-count', '0'],
    '--remove-count must be a number from 1',
  ],
  [['--node', 'http://a', '--clean-templates'], '--clean-templates needs --mig'],
  [['--nodes', 'http://a'], "Unknown option '--nodes'"],
] as const)('refuses %j', (args, message) => {
  expect(() => read(args)).toThrow(message);
});

function read(args: readonly string[]) {
  return readRollCommand(args, {});
}

/** What `…` stands for in the documents: the nodes of a command above. */
const SHORTENED = [
  '--node',
  'edge-1=http://10.0.0.4:9080',
  '--node',
  'edge-2=http://10.0.0.5:9080',
];
const SHORTENED_GROUP = ['--region', 'europe-west4', '--token-secret', 'tradewind-admin-token'];

it.each(documentedCommands('npm run roll'))('reads what $document says: $text', ({ args }) => {
  const nodes = args.includes('--mig') ? SHORTENED_GROUP : SHORTENED;
  const whole = args.flatMap((word) => (word === '…' ? nodes : [word]));
  expect(() => readRollCommand(whole, {})).not.toThrow();
});
