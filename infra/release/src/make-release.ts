import { mkdir, writeFile } from 'node:fs/promises';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { bundleService } from './bundle.ts';
import { collectFiles } from './contents.ts';
import { readNativePackages } from './native-packages.ts';
import { collectNotices } from './notices.ts';
import { RELEASED_SERVICES, type ReleasedService } from './services.ts';
import { writeTarball } from './tarball.ts';
import { type ReleaseVersion, readVersion } from './version.ts';

/** One service's tarball. */
export interface ReleaseArtifact {
  readonly service: ReleasedService['name'];
  /** Its name in the output folder. */
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface Release {
  readonly version: string;
  readonly commit: string;
  /** The Node that the tarballs hold. */
  readonly node: string;
  readonly artifacts: readonly ReleaseArtifact[];
}

/** The only platform that Node is released for here. */
const PLATFORM = 'linux-x64';

/**
 * Makes a tarball per service in `folder`, with a `.sha256` beside each that `sha256sum --check` reads,
 * `manifest.json` for programs and `release.env` for Compose. Needs no network. The same commit makes
 * the same bytes, on whichever machine.
 *
 * @throws Error on another platform than Linux on x64: the released Node is the workspace's own.
 */
export async function makeRelease(folder: string): Promise<Release> {
  if (`${process.platform}-${process.arch}` !== PLATFORM) {
    throw new Error(
      `a release is made on ${PLATFORM}; this is ${process.platform}-${process.arch}`,
    );
  }
  const root = WORKSPACE_ROOT.replace(/\/$/, '');
  const version = await readVersion(root);
  await mkdir(folder, { recursive: true });
  const artifacts: ReleaseArtifact[] = [];
  for (const service of RELEASED_SERVICES) {
    artifacts.push(await makeArtifact(root, folder, version, service));
  }
  const { version: name, commit } = version;
  const release: Release = { version: name, commit, node: process.version, artifacts };
  await writeFile(`${folder}/manifest.json`, `${JSON.stringify(release, undefined, 2)}\n`);
  await writeFile(`${folder}/release.env`, `TRADEWIND_VERSION=${name}\n`);
  return release;
}

async function makeArtifact(
  root: string,
  folder: string,
  version: ReleaseVersion,
  service: ReleasedService,
): Promise<ReleaseArtifact> {
  const bundle = await bundleService(root, service);
  const nodeVersion = process.version;
  const native = await readNativePackages(root, service);
  const modules = [...bundle.modules, ...native.modules];
  const notices = await collectNotices(modules, nodeVersion, native.licences);
  const files = await collectFiles({
    ...{ root, service, version, nodeVersion },
    ...{ bundle, native, notices },
  });
  const file = `tradewind-${service.name}-${version.version}-${PLATFORM}.tar.gz`;
  const { sha256, bytes } = await writeTarball({
    target: `${folder}/${file}`,
    files,
    modifiedAt: version.committedAt,
  });
  await writeFile(`${folder}/${file}.sha256`, `${sha256}  ${file}\n`);
  return { service: service.name, file, sha256, bytes };
}
