import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FleetNode } from './reach.ts';

/** The nodes of a roll, and how a new node is made from an old one. */
export interface Fleet {
  /** All nodes as of now: a replacement may have another name. */
  list(): Promise<readonly FleetNode[]>;
  /** Names of machines that do not run: they are being made, or cannot be made. They hold no clients. */
  listIdle(): Promise<readonly string[]>;
  /** Replaces a drained node. Rejects if that fails; the new node need not be ready yet. */
  replace(node: FleetNode): Promise<void>;
  /** Removes a drained node permanently. */
  remove(node: FleetNode): Promise<void>;
  /** Removes a machine that does not run. */
  removeIdle(name: string): Promise<void>;
  /** Adds `count` nodes of the newest kind. Rejects if that fails; they need not be ready yet. */
  add(count: number): Promise<void>;
  /** Deletes templates that no node needs any more. Resolves with the names of the deleted ones. */
  deleteUnusedTemplates(): Promise<readonly string[]>;
}

/** Shell commands in which `{node}` and `{url}` are replaced by a node's name and admin URL. */
export interface FleetCommands {
  /** Undefined: no command is run, because something else restarts a drained node. */
  readonly replace: string | undefined;
  readonly remove: string | undefined;
}

/** Nodes that are listed one by one and keep their addresses. */
export function createStaticFleet(nodes: readonly FleetNode[], commands: FleetCommands): Fleet {
  return {
    list: async () => nodes,
    listIdle: async () => [],
    replace: (node) => runFor(node, commands.replace),
    remove: (node) => runFor(node, commands.remove),
    removeIdle: async (name) => {
      throw new Error(`${name} is not a machine of a group`);
    },
    add: async () => {
      throw new Error('no nodes can be added to nodes that are listed one by one');
    },
    deleteUnusedTemplates: async () => [],
  };
}

/** Runs a command of the operator in a shell; its output goes to ours. */
export async function runFor(node: FleetNode, command: string | undefined): Promise<void> {
  if (command === undefined) return;
  const child = spawn('sh', ['-c', fillIn(command, node)], {
    stdio: ['ignore', process.stderr, process.stderr],
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0) throw new Error(`${node.name}: the command ended with ${signal ?? code}`);
}

/** Inserts a node's name and URL into a command, each as one word of the shell. */
export function fillIn(command: string, node: FleetNode): string {
  const words: Readonly<Record<string, string>> = { node: node.name, url: node.adminUrl };
  return command.replace(/\{(node|url)\}/g, (_all, key: string) => {
    return `'${(words[key] as string).replaceAll("'", `'\\''`)}'`;
  });
}
