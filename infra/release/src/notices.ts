import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BundledPackage, findPackages } from './bundled-packages.ts';

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
