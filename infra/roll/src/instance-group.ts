import { type Fleet, type FleetCommands, runFor } from './fleet.ts';
import type { Gcloud } from './gcloud.ts';
import type { FleetNode } from './reach.ts';

/** A regional managed instance group of Compute Engine. */
export interface InstanceGroup {
  readonly name: string;
  readonly region: string;
  /** Undefined: gcloud's own. */
  readonly project: string | undefined;
  readonly adminPort: number;
}

/** The fields of `list-instances` that are read. */
interface Member {
  /** `https://…/zones/<zone>/instances/<name>`. */
  readonly instance: string;
  /** Absent while the machine does not exist. */
  readonly instanceStatus?: string;
  /** The action of the group on the machine, e.g. `NONE`. */
  readonly currentAction?: string;
  /** The template of the VM; absent while the VM is being created. */
  readonly version?: { readonly instanceTemplate?: string };
}

/** The fields of the group that are read. */
interface Group {
  /** The configured number of VMs. */
  readonly targetSize: number;
  readonly versions?: readonly { readonly instanceTemplate?: string }[];
}

/** The label that Terraform gives to the templates of a group. */
const GROUP_LABEL = 'tradewind-group';

/** gcloud's message for a group that does not exist (any more). */
const NOT_FOUND = /was not found|notFound/;

/** Actions on a machine that is leaving the group. */
const LEAVING: readonly (string | undefined)[] = ['DELETING', 'ABANDONING'];

/** The fields of `instances list` that are read. */
interface Instance {
  readonly name: string;
  readonly status: string;
  /** `https://…/zones/<zone>`. */
  readonly zone: string;
  readonly networkInterfaces?: readonly { readonly networkIP?: string }[];
}

const MEMBER_FIELDS =
  '--format=json(instance,instanceStatus,currentAction,version.instanceTemplate)';
const GROUP_FIELDS = '--format=json(targetSize,versions[].instanceTemplate)';
const TEMPLATE_FIELDS = '--format=value(name)';
const INSTANCE_FIELDS = '--format=json(name,status,zone,networkInterfaces[].networkIP)';

/**
 * The running nodes of an instance group at their internal addresses, through `gcloud`. A replacement is made from the
 * group's newest template.
 */
export function createInstanceGroupFleet(
  group: InstanceGroup,
  commands: FleetCommands,
  gcloud: Gcloud,
): Fleet {
  const project = group.project === undefined ? [] : [`--project=${group.project}`];
  const region = [`--region=${group.region}`, ...project];
  const inGroup = ['compute', 'instance-groups', 'managed'];

  async function members(): Promise<readonly Member[]> {
    const list = [...inGroup, 'list-instances', group.name, ...region, MEMBER_FIELDS];
    return JSON.parse(await gcloud(list)) as readonly Member[];
  }

  async function describe(): Promise<Group> {
    return JSON.parse(
      await gcloud([...inGroup, 'describe', group.name, ...region, GROUP_FIELDS]),
    ) as Group;
  }

  /** The names of the templates that the group or one of its VMs refers to; none if the group is gone. */
  async function templatesInUse(): Promise<ReadonlySet<string>> {
    try {
      const { versions = [] } = await describe();
      const ofMembers = (await members()).map(({ version }) => version);
      const urls = [...versions, ...ofMembers].map((version) => version?.instanceTemplate ?? '');
      return new Set(urls.map(lastPart));
    } catch (error) {
      if (NOT_FOUND.test((error as Error).message)) return new Set();
      throw error;
    }
  }

  async function deleteInstance(name: string): Promise<void> {
    await gcloud([...inGroup, 'delete-instances', group.name, ...region, `--instances=${name}`]);
  }

  return {
    async list() {
      const paths = (await members()).map(({ instance }) =>
        instance.split('/').slice(-4).join('/'),
      );
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
    // The status in the group decides: a machine that `instances list` leaves out may run all the same.
    async listIdle() {
      return (await members())
        .filter(({ instanceStatus }) => instanceStatus !== 'RUNNING')
        .filter(({ currentAction }) => !LEAVING.includes(currentAction))
        .map(({ instance }) => lastPart(instance));
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
      await deleteInstance(node.name);
    },
    removeIdle: deleteInstance,
    async add(count) {
      const size = (await describe()).targetSize + count;
      await gcloud([...inGroup, 'resize', group.name, ...region, `--size=${size}`]);
    },
    async deleteUnusedTemplates() {
      const templates = ['compute', 'instance-templates'];
      const filter = `--filter=properties.labels.${GROUP_LABEL}=${group.name} AND region:${group.region}`;
      const listed = await gcloud([...templates, 'list', filter, ...project, TEMPLATE_FIELDS]);
      const inUse = await templatesInUse();
      const unused = listed.split(/\s+/).filter((name) => name !== '' && !inUse.has(name));
      for (const name of unused) await gcloud([...templates, 'delete', name, ...region]);
      return unused;
    },
  };
}

function lastPart(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}
