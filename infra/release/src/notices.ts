import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';

interface BundledPackage {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

const LICENSE_FILE = /^(licen[cs]e|copying|notice)(\.|$)/i;
const RULE = `\n${'-'.repeat(80)}\n\n`;

/**
 * Returns the licences of everything in a release that is not ours, as those licences require.
 *
 * @param modules absolute paths of the bundled modules.
 * @param nodeVersion the released Node, e.g. `v24.21.0`.
 * @param licences further ones, in full.
 * @throws Error when a bundled package has no licence.
 */
export async function collectNotices(
  modules: readonly string[],
  nodeVersion: string,
  licences: readonly string[],
): Promise<string> {
  const packages = await findPackages(modules);
  const notices = await Promise.all(packages.map(describe));
  const node = `bin/node is Node.js ${nodeVersion}, unchanged. Its licence, and those of what it holds:\nhttps://github.com/nodejs/node/blob/${nodeVersion}/LICENSE\n`;
  return ['This release holds the work of others.\n', node, ...notices, ...licences].join(RULE);
}

async function describe({ folder, name, version, license }: BundledPackage): Promise<string> {
  const files = (await readdir(folder)).filter((file) => LICENSE_FILE.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return [`${name} ${version}, ${license}\n`, ...texts.map((text) => `${text.trim()}\n`)].join(
    '\n',
  );
}

async function findPackages(modules: readonly string[]): Promise<BundledPackage[]> {
  const folders = new Set(
    modules.filter((path) => path.includes(`${sep}node_modules${sep}`)).map(packageFolderOf),
  );
  const packages = await Promise.all([...folders].map(readPackage));
  return packages.sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
}

async function readPackage(folder: string): Promise<BundledPackage> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const { name, version, license } = manifest as Partial<Record<string, string>>;
  if (name === undefined || version === undefined || license === undefined) {
    throw new Error(`${folder}: a package without a name, a version or a licence`);
  }
  return { folder, name, version, license };
}

/** The package that a module belongs to: the nearest folder right below a `node_modules`. */
function packageFolderOf(path: string): string {
  const marker = `${sep}node_modules${sep}`;
  const at = path.lastIndexOf(marker) + marker.length;
  const names = path.slice(at).split(sep);
  const folder = path.slice(0, at) + names.slice(0, names[0]?.startsWith('@') ? 2 : 1).join(sep);
  return existsSync(join(folder, 'package.json')) ? folder : dirname(path);
}
