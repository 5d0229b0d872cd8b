import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FleetNode } from './reach.ts';

/** The nodes that are rolled, and what makes a new one of an old one. */
export interface Fleet {
  /** All nodes as of now: a replacement may have another name. */
  list(): Promise<readonly FleetNode[]>;
  /** Replaces a node that has drained. Rejects when that fails; the new node need not be ready yet. */
  replace(node: FleetNode): Promise<void>;
  /** Takes a node that has drained away for good. */
  remove(node: FleetNode): Promise<void>;
  /** Adds `count` nodes of the newest kind. Rejects when that fails; they need not be ready yet. */
  add(count: number): Promise<void>;
  /** Deletes what nodes were made from and none needs any more. Resolves with the names of what is gone. */
  deleteUnusedTemplates(): Promise<readonly string[]>;
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
    add: async () => {
      throw new Error('nodes that are named one by one cannot be added to');
    },
    deleteUnusedTemplates: async () => [],
  };
}

/** Runs a command of the operator's in a shell, with its output beside ours. */
export async function runFor(node: FleetNode, command: string | undefined): Promise<void> {
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
