import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { FleetNode } from './admin-client.ts';

const run = promisify(execFile);

/** The nodes that are rolled, and what makes a new one of an old one. */
export interface Fleet {
  /** All nodes as of now: a replacement may have another name. */
  list(): Promise<readonly FleetNode[]>;
  /** Replaces a node that has drained. Rejects when that fails; the new node need not be ready yet. */
  replace(node: FleetNode): Promise<void>;
  /** Takes a node that has drained away for good. */
  remove(node: FleetNode): Promise<void>;
}

/** Shell commands in which `{node}` and `{url}` stand for a node's name and admin URL. */
export interface FleetCommands {
  /** Undefined: nothing is run, because something else brings a drained node back. */
  readonly replace: string | undefined;
  readonly remove: string | undefined;
}

/** Nodes that are named one by one, and keep their addresses. */
export function createStaticFleet(nodes: readonly FleetNode[], commands: FleetCommands): Fleet {
  return {
    list: async () => nodes,
    replace: (node) => runFor(node, commands.replace),
    remove: (node) => runFor(node, commands.remove),
  };
}

/** A regional managed instance group of Compute Engine. */
export interface InstanceGroup {
  readonly name: string;
  readonly region: string;
  /** Undefined: gcloud's own. */
  readonly project: string | undefined;
  readonly adminPort: number;
}

/** As much of `gcloud compute instances list --format=json` as is read. */
interface Instance {
  readonly name: string;
  readonly status: string;
  readonly networkInterfaces?: readonly { readonly networkIP?: string }[];
}

/**
 * The nodes of an instance group, reached at their internal addresses, by means of `gcloud`. A replacement
 * is made from the group's newest template.
 *
 * @param gcloud runs gcloud and resolves with what it prints; tests play it.
 */
export function createInstanceGroupFleet(
  group: InstanceGroup,
  commands: FleetCommands,
  gcloud: (args: readonly string[]) => Promise<string> = runGcloud,
): Fleet {
  const project = group.project === undefined ? [] : [`--project=${group.project}`];
  const region = [`--region=${group.region}`, ...project];
  const inGroup = ['compute', 'instance-groups', 'managed'];
  return {
    async list() {
      const members = JSON.parse(
        await gcloud([...inGroup, 'list-instances', group.name, ...region, '--format=json']),
      ) as readonly { readonly instance: string }[];
      const names = members.map(({ instance }) => instance.slice(instance.lastIndexOf('/') + 1));
      if (names.length === 0) return [];
      const filter = `--filter=name=(${names.join(' ')})`;
      const instances = JSON.parse(
        await gcloud(['compute', 'instances', 'list', filter, ...project, '--format=json']),
      ) as readonly Instance[];
      return instances.flatMap(({ name, status, networkInterfaces }) => {
        const address = networkInterfaces?.[0]?.networkIP;
        if (status !== 'RUNNING' || address === undefined) return [];
        return [{ name, adminUrl: `http://${address}:${group.adminPort}` }];
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

async function runGcloud(args: readonly string[]): Promise<string> {
  return (await run('gcloud', ['--quiet', ...args])).stdout;
}

/** Runs a command of the operator's in a shell, with its output beside ours. */
async function runFor(node: FleetNode, command: string | undefined): Promise<void> {
  if (command === undefined) return;
  const child = spawn('sh', ['-c', fillIn(command, node)], {
    stdio: ['ignore', process.stderr, process.stderr],
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0) throw new Error(`${node.name}: the command ended with ${signal ?? code}`);
}

/** Puts a node's name and URL into a command, each as one word of the shell. */
export function fillIn(command: string, node: FleetNode): string {
  const words: Readonly<Record<string, string>> = { node: node.name, url: node.adminUrl };
  return command.replace(/\{(node|url)\}/g, (_all, key: string) => {
    return `'${(words[key] as string).replaceAll("'", `'\\''`)}'`;
  });
}
