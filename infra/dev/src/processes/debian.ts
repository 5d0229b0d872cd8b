import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How long apt may take, in ms; a slow mirror included. */
const INSTALL_DEADLINE_MS = 300_000;

const SCRIPT = fileURLToPath(new URL('../../install-debian-packages.sh', import.meta.url));

/**
 * Installs packages with apt as root on Debian or Ubuntu. Resolves with false on any other system, and rejects with apt's
 * message if it fails. Services of a package are not started.
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
 * Returns the result of `find`. If it is undefined, the packages are installed by apt as root on Debian, and `find` is called
 * again. A failure of apt is reported.
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
