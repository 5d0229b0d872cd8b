import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WORKSPACE_ROOT } from '@tradewind/dev';
import { bundleService } from './bundle.ts';
import { findPackages } from './bundled-packages.ts';
import { collectFiles } from './contents.ts';
import { readIntegrities } from './lockfile.ts';
import { readNativePackages } from './native-packages.ts';
import { collectNotices } from './notices.ts';
import {
  fetchArm64Platform,
  OWN_PLATFORM,
  type ReleasePlatform,
  x64Platform,
} from './platforms.ts';
import { createProvenance, type Subject } from './provenance.ts';
import { createSbom } from './sbom.ts';
import { RELEASED_SERVICES, type ReleasedService } from './services.ts';
import { writeTarball } from './tarball.ts';
import { type ReleaseVersion, readVersion } from './version.ts';

/** One service's tarball. */
export interface ReleaseArtifact {
  readonly service: ReleasedService['name'];
  readonly platform: ReleasePlatform['name'];
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

/**
 * Makes a tarball per service in `folder`, with a `.sha256` beside each that `sha256sum --check` reads and a `.cdx.json` that lists
 * its parts, `provenance.json` which says what they were made of, `SHA256SUMS` of all of these, `manifest.json` for programs and
 * `release.env` for Compose. Needs no network, except for arm64. The same commit makes the same bytes, on whichever machine.
 *
 * @param options.builder names who makes the release, as a URI.
 * @param options.arm64 whether there are tarballs for arm64 as well; they cannot be started here.
 * @param options.report takes one line about the step that begins, or is done.
 * @throws Error on another platform than Linux on x64: the released Node is the workspace's own.
 */
export async function makeRelease(
  folder: string,
  options: {
    readonly builder?: string;
    readonly arm64?: boolean;
    readonly report?: (line: string) => void;
  } = {},
): Promise<Release> {
  const { builder = DEFAULT_BUILDER, arm64 = false, report = () => {} } = options;
  const root = WORKSPACE_ROOT.replace(/\/$/, '');
  const own = x64Platform(root);
  if (OWN_PLATFORM !== own.name) {
    throw new Error(`a release is made on ${own.name}; this is ${OWN_PLATFORM}`);
  }
  const version = await readVersion(root);
  await mkdir(folder, { recursive: true });
  const lockfile = await readFile(`${root}/pnpm-lock.yaml`, 'utf8');
  const artifacts: ReleaseArtifact[] = [];
  async function makeAll(platform: ReleasePlatform): Promise<void> {
    for (const service of RELEASED_SERVICES) {
      report(`${service.name} ${version.version} for ${platform.name}`);
      artifacts.push(await makeArtifact({ root, folder, version, service, lockfile, platform }));
    }
  }
  await makeAll(own);
  if (arm64) {
    report('Node and native code for arm64, from the registry');
    const fetched = await mkdtemp(join(tmpdir(), 'tradewind-arm64-'));
    try {
      await makeAll(await fetchArm64Platform(fetched, lockfile));
    } finally {
      await rm(fetched, { recursive: true });
    }
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
  readonly platform: ReleasePlatform;
}): Promise<ReleaseArtifact> {
  const { root, folder, version, service, lockfile, platform } = options;
  const { nodeBinary } = platform;
  const bundle = await bundleService(root, service, version.version);
  const nodeVersion = process.version;
  const native = await readNativePackages(root, service, platform);
  const modules = [...bundle.modules, ...native.modules];
  const notices = await collectNotices(modules, nodeVersion, native.licences);
  const files = await collectFiles({
    ...{ root, service, version, nodeVersion, nodeBinary },
    ...{ bundle, native, notices },
  });
  const name = `tradewind-${service.name}-${version.version}-${platform.name}`;
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
    node: { version: nodeVersion, sha256: digest(await readFile(nodeBinary)) },
  });
  const sbom = await write(folder, `${name}.cdx.json`, list);
  return { service: service.name, platform: platform.name, file, sha256, bytes, sbom };
}

async function write(folder: string, file: string, text: string): Promise<Subject> {
  await writeFile(`${folder}/${file}`, text);
  return { file, sha256: digest(text) };
}

function digest(contents: string | Uint8Array): string {
  return createHash('sha256').update(contents).digest('hex');
}
