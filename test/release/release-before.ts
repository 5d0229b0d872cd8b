import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import {
  type OwnedProcess,
  type ServiceName,
  startProcess,
  WORKSPACE_NODE,
  WORKSPACE_ROOT,
} from '@tradewind/dev';
import type { ServiceEnvironment } from '../support/services/service.ts';
import { eventually } from '../support/suite/wait.ts';
import { untilListening } from './base-root.ts';

/**
 * The last commit of release 0.1, which knows no offsets: N−1 of the present protocol. If the protocol changes, set
 * this to the last commit before the change.
 */
export const COMMIT_BEFORE = 'd441574410415e4de139ddc5d57393f657776541';

const PACKAGE_GROUPS = ['packages', 'services'] as const;

/** How long an old service may take to reach Redis, in ms. */
const LINK_DEADLINE_MS = 10_000;

/** The services of that release in their original source, with the packages installed for the present ones. */
export interface ReleaseBefore extends AsyncDisposable {
  /** Starts a service and resolves after it is linked to Redis. The caller ends it. */
  start(service: ServiceName, env: ServiceEnvironment): Promise<OldService>;
}

export interface OldService extends OwnedProcess {
  readonly port: number;
  readonly adminPort: number;
}

/** Returns why the old release is not available here, or undefined. */
export function obstacleToReleaseBefore(): string | undefined {
  try {
    execFileSync('git', ['cat-file', '-e', `${COMMIT_BEFORE}^{commit}`], {
      cwd: WORKSPACE_ROOT,
      stdio: 'ignore',
    });
    return undefined;
  } catch {
    return `commit ${COMMIT_BEFORE.slice(0, 7)} is not here: no git, or a shallow clone`;
  }
}

/** Unpacks the release. */
export async function unpackReleaseBefore(): Promise<ReleaseBefore> {
  const folder = await mkdtemp(`${tmpdir()}/tradewind-before-`);
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    await unpack(folder);
    for (const group of PACKAGE_GROUPS) {
      for (const name of await readdir(`${folder}/${group}`)) {
        await linkDependencies(folder, `${group}/${name}`);
      }
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { start: (service, env) => start(folder, service, env), [Symbol.asyncDispose]: dispose };
}

async function unpack(folder: string): Promise<void> {
  const archive = spawn('git', ['archive', COMMIT_BEFORE, ...PACKAGE_GROUPS], {
    cwd: WORKSPACE_ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const tar = spawn('tar', ['-x', '-C', folder], { stdio: ['pipe', 'inherit', 'inherit'] });
  archive.stdout.pipe(tar.stdin);
  const [code] = (await once(tar, 'close')) as [number | null];
  if (code !== 0) throw new Error(`tar ended with ${code}`);
}

/**
 * Links the dependencies of a package: packages of the same release, and installed ones of the same version. If that
 * version is no longer installed, the present one is used, and a line reports it.
 *
 * @param path of the package, e.g. `services/edge`.
 */
async function linkDependencies(folder: string, path: string): Promise<void> {
  const text = await readFile(`${folder}/${path}/package.json`, 'utf8');
  const { dependencies = {} } = JSON.parse(text) as { dependencies?: Record<string, string> };
  for (const [name, version] of Object.entries(dependencies)) {
    const link = `${folder}/${path}/node_modules/${name}`;
    await mkdir(dirname(link), { recursive: true });
    if (version.startsWith('workspace:')) {
      await symlink(`${folder}/packages/${name.replace('@tradewind/', '')}`, link);
      continue;
    }
    const same = `${WORKSPACE_ROOT}node_modules/.pnpm/${name}@${version}/node_modules/${name}`;
    const isInstalled = existsSync(same);
    if (!isInstalled) console.warn(`the release before runs on another ${name} than ${version}`);
    await symlink(isInstalled ? same : `${WORKSPACE_ROOT}${path}/node_modules/${name}`, link);
  }
}

async function start(
  folder: string,
  service: ServiceName,
  env: ServiceEnvironment,
): Promise<OldService> {
  const owned = await startProcess({
    name: `${service} of the release before`,
    command: WORKSPACE_NODE,
    args: [`services/${service}/src/main.ts`],
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0', ...env },
    cwd: folder,
  });
  try {
    const { port, adminPort } = await untilListening(owned);
    await eventually(
      async () => {
        const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
        const { ready, degraded } = (await answer.json()) as { ready: boolean; degraded: boolean };
        return ready && !degraded;
      },
      { deadlineMs: LINK_DEADLINE_MS },
    );
    return { ...owned, port, adminPort };
  } catch (error) {
    await owned.stop(0);
    throw error;
  }
}
