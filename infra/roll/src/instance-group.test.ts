import { expect, it } from 'vitest';
import { createInstanceGroupFleet } from './instance-group.ts';

const GROUP = { name: 'edges', region: 'europe-west4', project: 'p', adminPort: 9080 };
const NO_COMMANDS = { replace: undefined, remove: undefined };
const ZONES = 'https://www.googleapis.com/compute/v1/projects/p/zones';

it('finds the running nodes of an instance group at their internal addresses', async () => {
  const asked: string[] = [];
  const fleet = createInstanceGroupFleet(GROUP, NO_COMMANDS, async (args) => {
    asked.push(args.join(' '));
    if (args.includes('list-instances')) {
      return JSON.stringify([
        { instance: `${ZONES}/z-a/instances/edge-a`, instanceStatus: 'RUNNING' },
        { instance: `${ZONES}/z-b/instances/edge-b`, instanceStatus: 'STAGING' },
      ]);
    }
    return JSON.stringify([
      machine('edge-a', 'z-a', 'RUNNING', '10.0.0.4'),
      machine('edge-a', 'z-c', 'RUNNING', '10.0.0.9'),
      { name: 'edge-b', status: 'STAGING', zone: `${ZONES}/z-b` },
    ]);
  });
  const node = { name: 'edge-a', zone: 'z-a', adminUrl: 'http://10.0.0.4:9080' };
  expect(await fleet.list()).toEqual([node]);
  await fleet.replace(node);
  await fleet.remove(node);
  expect(asked).toEqual([
    'compute instance-groups managed list-instances edges --region=europe-west4 --project=p --format=json(instance,instanceStatus,currentAction,version.instanceTemplate)',
    'compute instances list --filter=name=(edge-a edge-b) --project=p --format=json(name,status,zone,networkInterfaces[].networkIP)',
    'compute instance-groups managed update-instances edges --region=europe-west4 --project=p --instances=edge-a --minimal-action=replace --most-disruptive-allowed-action=replace',
    'compute instance-groups managed delete-instances edges --region=europe-west4 --project=p --instances=edge-a',
  ]);
});

it('takes a machine for idle by what the group says, and not one that it lets go of', async () => {
  const asked: string[] = [];
  const member = (name: string, instanceStatus?: string, currentAction?: string) => ({
    instance: `${ZONES}/z-a/instances/${name}`,
    instanceStatus,
    currentAction,
  });
  const fleet = createInstanceGroupFleet(GROUP, NO_COMMANDS, async (args) => {
    asked.push(args.join(' '));
    return JSON.stringify([
      member('serves', 'RUNNING', 'NONE'),
      member('cannot-be-made', undefined, 'CREATING'),
      member('is-being-made', 'STAGING', 'CREATING'),
      member('goes', 'STOPPING', 'DELETING'),
      member('is-let-go', 'TERMINATED', 'ABANDONING'),
    ]);
  });
  expect(await fleet.listIdle()).toEqual(['cannot-be-made', 'is-being-made']);
  await fleet.removeIdle('cannot-be-made');
  expect(asked.at(-1)).toBe(
    'compute instance-groups managed delete-instances edges --region=europe-west4 --project=p --instances=cannot-be-made',
  );
});

it('asks for no machines if the group has none', async () => {
  const fleet = createInstanceGroupFleet(GROUP, NO_COMMANDS, async (args) => {
    expect(args).toContain('list-instances');
    return '[]';
  });
  expect(await fleet.list()).toEqual([]);
});

function machine(name: string, zone: string, status: string, networkIP: string) {
  return { name, status, zone: `${ZONES}/${zone}`, networkInterfaces: [{ networkIP }] };
}
