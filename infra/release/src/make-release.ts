import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { bundleService } from './bundle.ts';
import { findPackages } from './bundled-packages.ts';
import { collectFiles, NODE_BINARY } from './contents.ts';
import { readIntegrities } from './lockfile.ts';
import { readNativePackages } from './native-packages.ts';
import { collectNotices } from './notices.ts';
import { createProvenance, type Subject } from './provenance.ts';
import { createSbom } from './sbom.ts';
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
  /** The list of its parts. */
  readonly sbom: Subject;
}

export interface Release {
  readonly version: string;
  readonly commit: string;
  /** The Node that the tarballs hold. */
  readonly node: string;
  readonly artifacts: readonly ReleaseArtifact[];
}

/** Names nobody: whoever publishes releases passes a name of their own. */
export const DEFAULT_BUILDER = 'urn:tradewind:builder:unnamed';

/** The only platform that Node is released for here. */
const PLATFORM = 'linux-x64';

/**
 * Makes a tarball per service in `folder`, with a `.sha256` beside each that `sha256sum --check` reads and a `.cdx.json` that lists
 * its parts, `provenance.json` which says what they were made of, `SHA256SUMS` of all of these, `manifest.json` for programs and
 * `release.env` for Compose. Needs no network. The same commit makes the same bytes, on whichever machine.
 *
 * @param builder names who makes the release, as a URI.
 * @throws Error on another platform than Linux on x64: the released Node is the workspace's own.
 */
export async function makeRelease(folder: string, builder = DEFAULT_BUILDER): Promise<Release> {
  if (`${process.platform}-${process.arch}` !== PLATFORM) {
    throw new Error(
      `a release is made on ${PLATFORM}; this is ${process.platform}-${process.arch}`,
    );
  }
  const root = WORKSPACE_ROOT.replace(/\/$/, '');
  const version = await readVersion(root);
  await mkdir(folder, { recursive: true });
  const lockfile = await readFile(`${root}/pnpm-lock.yaml`, 'utf8');
  const artifacts: ReleaseArtifact[] = [];
  for (const service of RELEASED_SERVICES) {
    artifacts.push(await makeArtifact({ root, folder, version, service, lockfile }));
  }
  const { version: name, commit } = version;
  const release: Release = { version: name, commit, node: process.version, artifacts };
  await writeFile(`${folder}/manifest.json`, `${JSON.stringify(release, undefined, 2)}\n`);
  await writeFile(`${folder}/release.env`, `TRADEWIND_VERSION=${name}\n`);
  const subjects = artifacts.flatMap(({ file, sha256, sbom }) => [{ file, sha256 }, sbom]);
  const provenance = createProvenance({
    ...{ version, subjects, builder },
    ...{ lockfile: digest(lockfile), node: process.version },
  });
  subjects.push(await write(folder, 'provenance.json', provenance));
  const sums = subjects.map(({ file, sha256 }) => `${sha256}  ${file}\n`);
  await writeFile(`${folder}/SHA256SUMS`, sums.join(''));
  return release;
}

async function makeArtifact(options: {
  readonly root: string;
  readonly folder: string;
  readonly version: ReleaseVersion;
  readonly service: ReleasedService;
  readonly lockfile: string;
}): Promise<ReleaseArtifact> {
  const { root, folder, version, service, lockfile } = options;
  const bundle = await bundleService(root, service);
  const nodeVersion = process.version;
  const native = await readNativePackages(root, service);
  const modules = [...bundle.modules, ...native.modules];
  const notices = await collectNotices(modules, nodeVersion, native.licences);
  const files = await collectFiles({
    ...{ root, service, version, nodeVersion },
    ...{ bundle, native, notices },
  });
  const name = `tradewind-${service.name}-${version.version}-${PLATFORM}`;
  const file = `${name}.tar.gz`;
  const { sha256, bytes } = await writeTarball({
    target: `${folder}/${file}`,
    files,
    modifiedAt: version.committedAt,
  });
  await writeFile(`${folder}/${file}.sha256`, `${sha256}  ${file}\n`);
  const list = createSbom({
    ...{ service: service.name, version: version.version, committedAt: version.committedAt },
    ...{ sha256, packages: await findPackages(modules), integrities: readIntegrities(lockfile) },
    node: { version: nodeVersion, sha256: digest(await readFile(`${root}/${NODE_BINARY}`)) },
  });
  const sbom = await write(folder, `${name}.cdx.json`, list);
  return { service: service.name, file, sha256, bytes, sbom };
}

async function write(folder: string, file: string, text: string): Promise<Subject> {
  await writeFile(`${folder}/${file}`, text);
  return { file, sha256: digest(text) };
}

function digest(contents: string | Uint8Array): string {
  return createHash('sha256').update(contents).digest('hex');
}
