import { readdir, readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join, normalize, relative, sep } from 'node:path';
import {
  ALLOWED_DEPENDENCIES,
  BENCH_LOAD,
  FURTHER_ENTRIES,
  MAIN_LINES_BELOW,
  ROOMS,
  TEST_SUPPORT,
  TEST_TOOLS,
  WITHOUT_NODE,
} from './import-rules.ts';

/** Folders that hold packages one level down, and folders that are packages. */
const PACKAGE_GROUPS = ['packages', 'services'];
const SINGLE_PACKAGES = [
  'infra/dev',
  'infra/release',
  'infra/roll',
  'infra/smoke',
  'test',
  'bench',
];

/** The folder of a workspace, from its root, and what its package.json says. */
interface WorkspacePackage {
  readonly name: string;
  readonly folder: string;
  readonly dependencies: readonly string[];
  readonly developmentDependencies: readonly string[];
}

/** A source file, by its path from the workspace's root. */
interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/**
 * Checks the import rules of all packages under `root`. Returns one line for each fault: an undeclared dependency, a
 * dependency that the house does not allow, an import of another package's inside, an import between rooms that the
 * rules do not have, Node in a package that must run without it, and a service's `main.ts` that is too long.
 */
export async function findImportFaults(root: string): Promise<string[]> {
  const faults: string[] = [];
  for (const folder of await packageFolders(root)) {
    const workspacePackage = await readPackage(root, folder);
    faults.push(...dependencyFaults(workspacePackage));
    for (const file of await readSources(root, folder)) {
      faults.push(...fileFaults(workspacePackage, file));
    }
  }
  return faults;
}

function dependencyFaults({ name, folder, dependencies }: WorkspacePackage): string[] {
  const allowed = ALLOWED_DEPENDENCIES[name];
  if (allowed === undefined) return [`${folder}: ${name} is not a package of the house`];
  if (allowed === 'anything') return [];
  return dependencies
    .filter((dependency) => !allowed.includes(dependency))
    .map((dependency) => `${folder}/package.json: ${name} may not depend on ${dependency}`);
}

function fileFaults(owner: WorkspacePackage, file: SourceFile): string[] {
  const faults = importedSpecifiers(file.text).flatMap((specifier) => {
    const fault = importFault(owner, file.path, specifier);
    return fault === undefined ? [] : [`${file.path}: ${fault}`];
  });
  const isMain =
    owner.folder.startsWith('services/') && file.path === `${owner.folder}/src/main.ts`;
  const lines = file.text.trimEnd().split('\n').length;
  if (isMain && lines >= MAIN_LINES_BELOW) {
    faults.push(`${file.path}: has ${lines} lines; it must have fewer than ${MAIN_LINES_BELOW}`);
  }
  return faults;
}

function importFault(owner: WorkspacePackage, path: string, specifier: string): string | undefined {
  const isTest =
    isTestFile(path) || owner.name === '@tradewind/test' || owner.name === '@tradewind/bench';
  // What builds a package stands beside its `src`, and is no part of it.
  const isBuild = path === `${owner.folder}/build.ts`;
  if (specifier.startsWith('.')) {
    const target = normalize(join(dirname(path), specifier));
    if (!relative(owner.folder, target).startsWith('..')) return roomFault(path, target, specifier);
    const isShared =
      (isTest && target.startsWith(`${TEST_SUPPORT}/`)) ||
      (owner.name === '@tradewind/test' && target.startsWith(`${BENCH_LOAD}/`));
    return isShared ? undefined : `imports ${specifier}, which lies outside ${owner.name}`;
  }
  if (isBuiltin(specifier)) {
    if (!specifier.startsWith('node:')) return `imports ${specifier}; write node:${specifier}`;
    const isFree = isTest || isBuild || !WITHOUT_NODE.includes(owner.name);
    return isFree ? undefined : `imports ${specifier}; ${owner.name} must run without Node`;
  }
  const dependency = packageNameOf(specifier);
  const isEntry = dependency === specifier || FURTHER_ENTRIES.includes(specifier);
  if (dependency.startsWith('@tradewind/') && !isEntry) {
    return `imports ${specifier}, which reaches inside ${dependency}`;
  }
  if (owner.dependencies.includes(dependency) || dependency === owner.name) return undefined;
  if (isBuild && owner.developmentDependencies.includes(dependency)) return undefined;
  const isForTests =
    TEST_TOOLS.includes(dependency) || owner.developmentDependencies.includes(dependency);
  if (isTest && isForTests) return undefined;
  return `imports ${dependency}, which ${owner.name} does not declare`;
}

/**
 * Why a file may not import another of its package, by the rooms in which they stand. A room may have rooms of its own: then
 * those of both floors are asked.
 */
function roomFault(path: string, target: string, specifier: string): string | undefined {
  if (isTestFile(path) || path.includes('/testing/')) return undefined;
  const bases = Object.keys(ROOMS).filter((folder) => path.startsWith(`${folder}/`));
  for (const base of bases) {
    const from = roomOf(base, path);
    const allowed = ROOMS[base]![from];
    if (allowed === undefined) return `stands in ${from}, which is not a room of ${base}`;
    if (!target.startsWith(`${base}/`)) continue;
    const to = roomOf(base, target);
    if (from === to || allowed === 'anything' || allowed.includes(to)) continue;
    return `imports ${specifier}; ${from} may not import ${to}`;
  }
  return undefined;
}

/** A test, or a suite that the tests of all implementations of one interface run. */
function isTestFile(path: string): boolean {
  return /\.(test|contract)\.ts$/.test(path);
}

/** The folder below `base` in which a file stands; a file beside the rooms is a room of its own. */
function roomOf(base: string, path: string): string {
  return path
    .slice(base.length + 1)
    .split('/')[0]!
    .replace(/\.ts$/, '');
}

/** Returns every module that a source names in a static or dynamic import or a re-export. */
export function importedSpecifiers(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*'([^']+)'/gm);
  const calls = source.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g);
  return [...statements, ...calls].map((match) => match[1]!);
}

function packageNameOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

async function packageFolders(root: string): Promise<string[]> {
  const folders = [...SINGLE_PACKAGES];
  for (const group of PACKAGE_GROUPS) {
    for (const entry of await entriesOf(join(root, group))) {
      if (entry.isDirectory()) folders.push(`${group}/${entry.name}`);
    }
  }
  const present = await Promise.all(
    folders.map(async (folder) => {
      const entries = await entriesOf(join(root, folder));
      return entries.some((entry) => entry.name === 'package.json') ? [folder] : [];
    }),
  );
  return present.flat().sort();
}

async function readPackage(root: string, folder: string): Promise<WorkspacePackage> {
  const text = await readFile(join(root, folder, 'package.json'), 'utf8');
  const { name, dependencies = {}, peerDependencies = {}, devDependencies = {} } = JSON.parse(text);
  return {
    name,
    folder,
    dependencies: [...Object.keys(dependencies), ...Object.keys(peerDependencies)],
    developmentDependencies: Object.keys(devDependencies),
  };
}

async function readSources(root: string, folder: string): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const entry of await entriesOf(join(root, folder))) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) files.push(...(await readSources(root, path)));
    else if (/\.[cm]?[jt]s$/.test(entry.name)) {
      files.push({
        path: path.split(sep).join('/'),
        text: await readFile(join(root, path), 'utf8'),
      });
    }
  }
  return files;
}

/** A folder's entries; none when there is no such folder. */
async function entriesOf(folder: string) {
  return await readdir(folder, { withFileTypes: true }).catch(() => []);
}
