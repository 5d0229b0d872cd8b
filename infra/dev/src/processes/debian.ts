import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How long apt may take, in ms; a slow mirror included. */
const INSTALL_DEADLINE_MS = 300_000;

const SCRIPT = fileURLToPath(new URL('../../install-debian-packages.sh', import.meta.url));

/**
 * Installs packages with apt where that needs nobody's leave: as root on Debian or Ubuntu. Answers
 * false elsewhere; rejects with apt's words when it fails. Services that a package brings are not
 * started.
 */
export async function installOnDebian(
  packages: readonly string[],
  report: (line: string) => void,
): Promise<boolean> {
  const isRoot = process.getuid?.() === 0;
  const hasApt = await access('/usr/bin/apt-get').then(
    () => true,
    () => false,
  );
  if (!isRoot || !hasApt) return false;
  report(`Installing ${packages.join(' ')} with apt`);
  await promisify(execFile)('sh', [SCRIPT, ...packages], { timeout: INSTALL_DEADLINE_MS });
  return true;
}

/**
 * What `find` finds; as root on Debian, installed by apt when it finds nothing. Undefined where it is
 * not to be had; that apt failed is told.
 */
export async function bringFromDebian(
  find: () => Promise<string | undefined>,
  packages: readonly string[],
  report: (line: string) => void,
): Promise<string | undefined> {
  const found = await find();
  if (found !== undefined) return found;
  try {
    if (await installOnDebian(packages, report)) return await find();
  } catch (error) {
    report(`apt could not install ${packages.join(' ')}: ${String(error)}`);
  }
  return undefined;
}
