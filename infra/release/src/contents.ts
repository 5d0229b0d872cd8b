import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Bundle } from './bundle.ts';
import type { NativeParts } from './native-packages.ts';
import type { ReleasedService } from './services.ts';
import type { TarballFile } from './tarball.ts';
import type { ReleaseVersion } from './version.ts';

/**
 * The documents that an operator reads, and the files that watch a node. They lie as in the repository, so that their links to each other work. Decision
 * records stay there.
 */
export const OPERATORS_FILES: readonly string[] = [
  'CHANGELOG.md',
  'docs/codes.md',
  'docs/concepts.md',
  'docs/configuration.md',
  'docs/guarantees.md',
  'docs/http.md',
  'docs/identity.md',
  'docs/limits.md',
  'docs/metrics.md',
  'docs/migration.md',
  'docs/pictures/drain-and-resume.svg',
  'docs/pictures/epoch-and-offset.svg',
  'docs/pictures/queue-and-slow-client.svg',
  'docs/pictures/road-of-a-trade.svg',
  'docs/publish/tradewind_publish_1.lua',
  'docs/publishing.md',
  'docs/runbook.md',
  'infra/README.md',
  'infra/nginx/tradewind.conf',
  'infra/prometheus/alerts.yml',
  'infra/prometheus/prometheus.yml',
  'infra/prometheus/recording-rules.yml',
  'infra/redis/redis.conf',
  'infra/redis/users.acl',
  'infra/grafana/tradewind.json',
];

/** Makes Node load the files beside it as modules without reading them first. */
const MODULE_MARKER = `${JSON.stringify({ type: 'module' })}\n`;

/** Returns all files of a service's release; `manifest.json` is the last, because it has the checksums of the others. */
export async function collectFiles(options: {
  readonly root: string;
  readonly service: ReleasedService;
  readonly version: ReleaseVersion;
  readonly nodeVersion: string;
  /** The Node that is released, as an absolute path. */
  readonly nodeBinary: string;
  readonly bundle: Bundle;
  readonly native: NativeParts;
  readonly notices: string;
}): Promise<TarballFile[]> {
  const { root, service, version, nodeVersion, nodeBinary, bundle, native, notices } = options;
  const unit = `systemd/tradewind-${service.name}.service`;
  const files = [
    ...bundle.files.map(({ name, code }) => text(`app/${name}`, code)),
    text('app/package.json', MODULE_MARKER),
    ...native.files,
    text('VERSION', `${version.version}\n`),
    text('NOTICES', notices),
    text('LICENSE', await readFile(`${root}/LICENSE`)),
    text(unit, await readFile(`${root}/infra/${unit}`)),
    text('systemd/sysusers.conf', await readFile(`${root}/infra/systemd/sysusers.conf`)),
    text('sysctl/60-tradewind.conf', await readFile(`${root}/infra/sysctl/60-tradewind.conf`)),
    program('install.sh', await readFile(`${root}/infra/release/install.sh`)),
    program('bin/node', await readFile(nodeBinary)),
    text(
      `examples/${service.name}.env`,
      await readFile(`${root}/infra/release/examples/${service.name}.env`),
    ),
    ...(await Promise.all(
      OPERATORS_FILES.map(async (path) => text(path, await readFile(`${root}/${path}`))),
    )),
  ];
  const manifest = {
    service: service.name,
    version: version.version,
    commit: version.commit,
    committedAt: new Date(version.committedAt * 1_000).toISOString(),
    node: nodeVersion,
    files: Object.fromEntries(
      files
        .toSorted((a, b) => (a.path < b.path ? -1 : 1))
        .map(({ path, contents }) => [path, { sha256: checksum(contents) }]),
    ),
  };
  return [...files, text('manifest.json', `${JSON.stringify(manifest, undefined, 2)}\n`)];
}

function text(path: string, contents: TarballFile['contents']): TarballFile {
  return { path, contents, isExecutable: false };
}

function program(path: string, contents: TarballFile['contents']): TarballFile {
  return { path, contents, isExecutable: true };
}

function checksum(contents: TarballFile['contents']): string {
  return createHash('sha256').update(contents).digest('hex');
}
