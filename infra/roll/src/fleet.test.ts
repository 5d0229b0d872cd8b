import { expect, it } from 'vitest';
import { createInstanceGroupFleet, createStaticFleet, fillIn } from './fleet.ts';

const NODE = { name: "o'edge 1", adminUrl: 'http://10.0.0.4:9080' };
const GROUP = { name: 'edges', region: 'europe-west4', project: 'p', adminPort: 9080 };
const NO_COMMANDS = { replace: undefined, remove: undefined };

it('fills a node into a command as one word of the shell', () => {
  expect(fillIn('replace {node} at {url}; {other}', NODE)).toBe(
    `replace 'o'\\''edge 1' at 'http://10.0.0.4:9080'; {other}`,
  );
});

it('runs the command, and says when it fails', async () => {
  const fleet = createStaticFleet([NODE], {
    replace: 'test {node} = "o\'edge 1"',
    remove: 'exit 3',
  });
  await fleet.replace(NODE);
  await expect(fleet.remove(NODE)).rejects.toThrow("o'edge 1: the command ended with 3");
  await createStaticFleet([NODE], NO_COMMANDS).replace(NODE);
});

it('finds the running nodes of an instance group at their internal addresses', async () => {
  const asked: string[] = [];
  const fleet = createInstanceGroupFleet(GROUP, NO_COMMANDS, async (args) => {
    asked.push(args.join(' '));
    if (args.includes('list-instances')) {
      const instance = 'https://compute/v1/projects/p/zones/z/instances/';
      return JSON.stringify([{ instance: `${instance}edge-a` }, { instance: `${instance}edge-b` }]);
    }
    return JSON.stringify([
      { name: 'edge-a', status: 'RUNNING', networkInterfaces: [{ networkIP: '10.0.0.4' }] },
      { name: 'edge-b', status: 'STAGING', networkInterfaces: [] },
    ]);
  });
  const node = { name: 'edge-a', adminUrl: 'http://10.0.0.4:9080' };
  expect(await fleet.list()).toEqual([node]);
  await fleet.replace(node);
  await fleet.remove(node);
  expect(asked).toEqual([
    'compute instance-groups managed list-instances edges --region=europe-west4 --project=p --format=json',
    'compute instances list --filter=name=(edge-a edge-b) --project=p --format=json',
    'compute instance-groups managed update-instances edges --region=europe-west4 --project=p --instances=edge-a --minimal-action=replace --most-disruptive-allowed-action=replace',
    'compute instance-groups managed delete-instances edges --region=europe-west4 --project=p --instances=edge-a',
  ]);
});
