import { dirname, join } from 'node:path/posix';
import { importedSpecifiers } from './check-imports.ts';
import type { RoomRules } from './import-rules.ts';

/** A source file, by its path from the folder that is measured. */
export interface HouseFile {
  readonly path: string;
  readonly text: string;
}

/** For each node, the nodes that it imports. Every node has an entry. */
export type ImportGraph = ReadonlyMap<string, ReadonlySet<string>>;

/** Whether a file is for tests only: a test, a contract or fixture of tests, or what stands in a room's `testing`. */
export function isForTests(path: string): boolean {
  return /\.(test|fixture|contract)\.ts$/.test(path) || /(^|\/)testing\//.test(path);
}

/** Which file imports which, types included. What lies outside of the files is left out. */
export function graphOfFiles(files: readonly HouseFile[]): ImportGraph {
  const paths = new Set(files.map(({ path }) => path));
  return new Map(
    files.map(({ path, text }) => {
      const imported = importedSpecifiers(text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => join(dirname(path), specifier));
      return [path, new Set(imported.filter((target) => paths.has(target)))] as const;
    }),
  );
}

/** The room of a file: the folder in which it stands, or its own name when it stands beside the rooms. */
export function roomOf(path: string): string {
  const [first = path] = path.split('/');
  return first.replace(/\.ts$/, '');
}

/** Which room imports which; a room that imports itself is left out. */
export function graphOfRooms(files: ImportGraph): ImportGraph {
  const rooms = new Map<string, Set<string>>();
  for (const [path, imported] of files) {
    const room = roomOf(path);
    const targets = rooms.get(room) ?? new Set();
    rooms.set(room, targets);
    for (const target of imported) if (roomOf(target) !== room) targets.add(roomOf(target));
  }
  return rooms;
}

/** The groups of nodes that import each other, directly or through others of the group. */
export function circlesOf(graph: ImportGraph): readonly (readonly string[])[] {
  return componentsOf(graph).filter((nodes) => nodes.length > 1);
}

/** How many nodes the longest chain of imports has, where each imports the next. A circle counts as one node. */
export function floorsOf(graph: ImportGraph): number {
  const heights = new Map<string, number>();
  // A component comes after all that it imports.
  for (const nodes of componentsOf(graph)) {
    const below = nodes.flatMap((node) =>
      [...(graph.get(node) as ReadonlySet<string>)].map((target) => heights.get(target) ?? 0),
    );
    const height = 1 + Math.max(0, ...below);
    for (const node of nodes) heights.set(node, height);
  }
  return Math.max(0, ...heights.values());
}

/** The nodes that exactly one other imports. */
export function withOneConsumer(graph: ImportGraph): readonly string[] {
  const consumers = new Map<string, number>();
  for (const imported of graph.values()) {
    for (const target of imported) consumers.set(target, (consumers.get(target) ?? 0) + 1);
  }
  return [...graph.keys()].filter((node) => consumers.get(node) === 1);
}

/** The imports from one room into another that the rules do not have. */
export function upwardArrows(rooms: ImportGraph, rules: RoomRules): readonly string[] {
  return [...rooms].flatMap(([room, targets]) => {
    const allowed = rules[room] ?? [];
    if (allowed === 'anything') return [];
    return [...targets]
      .filter((target) => !allowed.includes(target))
      .map((target) => `${room} → ${target}`);
  });
}

/** Strongly connected components by Tarjan's algorithm: one comes after all that it imports. */
function componentsOf(graph: ImportGraph): readonly (readonly string[])[] {
  const components: string[][] = [];
  const indexes = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const isOpen = new Set<string>();

  function visit(node: string): void {
    const index = indexes.size;
    indexes.set(node, index);
    lowest.set(node, index);
    stack.push(node);
    isOpen.add(node);
    for (const target of graph.get(node) ?? []) {
      if (!indexes.has(target)) visit(target);
      if (isOpen.has(target)) {
        lowest.set(node, Math.min(lowest.get(node)!, lowest.get(target)!));
      }
    }
    if (lowest.get(node) !== index) return;
    const component = stack.splice(stack.indexOf(node));
    for (const member of component) isOpen.delete(member);
    components.push(component);
  }

  for (const node of graph.keys()) if (!indexes.has(node)) visit(node);
  return components;
}
