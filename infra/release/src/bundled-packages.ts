import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';

/** A package of other authors that is in a release, whole or in part. */
export interface BundledPackage {
  /** Where it is installed, absolute. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly license: string;
}

/**
 * The packages of others that modules belong to, in the order of their names.
 *
 * @param modules absolute paths.
 * @throws Error when a package has no name, version or licence.
 */
export async function findPackages(modules: readonly string[]): Promise<BundledPackage[]> {
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
