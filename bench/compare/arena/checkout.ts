import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { CHECKOUT_EDGE, CHECKOUT_NODE } from './contenders.ts';

/**
 * Returns why the edge of another checkout cannot be started, as the end of a sentence that begins with the folder.
 * Undefined if it can be started.
 *
 * @param root an absolute path.
 */
export function checkoutFault(root: string): string | undefined {
  if (!isFolder(root)) return 'is no folder';
  const { name } = readManifest(WORKSPACE_ROOT) ?? {};
  if (readManifest(root)?.name !== name || !existsSync(join(root, CHECKOUT_EDGE))) {
    return `is no checkout of ${name}`;
  }
  const missing = missingParts(root);
  if (missing.length === 0) return undefined;
  return `is not installed: ${missing.join(', ')} missing; npm run check, in it, installs it`;
}

interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function readManifest(folder: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

/** Missing parts among its Node and the imports of its edge; a broken link counts as missing. */
function missingParts(root: string): readonly string[] {
  const edge = 'services/edge';
  const imports = Object.keys(readManifest(join(root, edge))?.dependencies ?? {});
  const parts = imports.map((name) => `${edge}/node_modules/${name}`);
  const missing = parts.filter((part) => !existsSync(join(root, part)));
  return isProgram(join(root, CHECKOUT_NODE)) ? missing : [CHECKOUT_NODE, ...missing];
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
