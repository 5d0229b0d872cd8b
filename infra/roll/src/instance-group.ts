import type { FleetNode } from './admin-client.ts';
import { type Fleet, type FleetCommands, runFor } from './fleet.ts';
import type { Gcloud } from './gcloud.ts';

/** A regional managed instance group of Compute Engine. */
export interface InstanceGroup {
  readonly name: string;
  readonly region: string;
  /** Undefined: gcloud's own. */
  readonly project: string | undefined;
  readonly adminPort: number;
}

/** What is read of `list-instances`. */
interface Member {
  /** `https://…/zones/<zone>/instances/<name>`. */
  readonly instance: string;
}

/** What is read of `instances list`. */
interface Instance {
  readonly name: string;
  readonly status: string;
  /** `https://…/zones/<zone>`. */
  readonly zone: string;
  readonly networkInterfaces?: readonly { readonly networkIP?: string }[];
}

const MEMBER_FIELDS = '--format=json(instance)';
const INSTANCE_FIELDS = '--format=json(name,status,zone,networkInterfaces[].networkIP)';

/**
 * The running nodes of an instance group at their internal addresses, by means of `gcloud`. A replacement is
 * made from the group's newest template.
 */
export function createInstanceGroupFleet(
  group: InstanceGroup,
  commands: FleetCommands,
  gcloud: Gcloud,
): Fleet {
  const project = group.project === undefined ? [] : [`--project=${group.project}`];
  const region = [`--region=${group.region}`, ...project];
  const inGroup = ['compute', 'instance-groups', 'managed'];

  async function members(): Promise<readonly string[]> {
    const list = [...inGroup, 'list-instances', group.name, ...region, MEMBER_FIELDS];
    const found = JSON.parse(await gcloud(list)) as readonly Member[];
    return found.map(({ instance }) => instance.split('/').slice(-4).join('/'));
  }

  return {
    async list() {
      const paths = await members();
      if (paths.length === 0) return [];
      const filter = `--filter=name=(${paths.map(lastPart).join(' ')})`;
      const list = ['compute', 'instances', 'list', filter, ...project, INSTANCE_FIELDS];
      const instances = JSON.parse(await gcloud(list)) as readonly Instance[];
      return instances.flatMap(({ name, status, zone: zoneUrl, networkInterfaces }) => {
        const zone = lastPart(zoneUrl);
        const address = networkInterfaces?.[0]?.networkIP;
        // Another zone may have a machine of the same name.
        if (!paths.includes(`zones/${zone}/instances/${name}`)) return [];
        if (status !== 'RUNNING' || address === undefined) return [];
        const node: FleetNode = { name, zone, adminUrl: `http://${address}:${group.adminPort}` };
        return [node];
      });
    },
    async replace(node) {
      if (commands.replace !== undefined) return await runFor(node, commands.replace);
      await gcloud([
        ...[...inGroup, 'update-instances', group.name, ...region, `--instances=${node.name}`],
        ...['--minimal-action=replace', '--most-disruptive-allowed-action=replace'],
      ]);
    },
    async remove(node) {
      if (commands.remove !== undefined) return await runFor(node, commands.remove);
      await gcloud([
        ...[...inGroup, 'delete-instances', group.name, ...region, `--instances=${node.name}`],
      ]);
    },
  };
}

function lastPart(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}
