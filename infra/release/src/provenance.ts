import type { ReleaseVersion } from './version.ts';

/** A file of a release. */
export interface Subject {
  readonly file: string;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** What a statement tells. */
export interface ProvenanceSource {
  readonly version: ReleaseVersion;
  readonly subjects: readonly Subject[];
  /** Names who made the release, as a URI. Nobody checks it: a signature must. */
  readonly builder: string;
  /** The SHA-256 of `pnpm-lock.yaml`, in hexadecimal. */
  readonly lockfile: string;
  /** The Node that made the release, and that it holds. */
  readonly node: string;
}

/** How these releases are made: `npm run release`, in the commit that the statement names. */
const BUILD_TYPE = 'urn:tradewind:release:1';

/**
 * States what a release was made of and by whom: an in-toto statement with SLSA's provenance, both of version 1. It is not signed:
 * who publishes the release signs it. The same commit and builder make the same statement.
 */
export function createProvenance(source: ProvenanceSource): string {
  const { version, subjects, builder, lockfile, node } = source;
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: subjects.map(({ file, sha256 }) => ({ name: file, digest: { sha256 } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: {
          version: version.version,
          // Then there is more in it than the commit.
          isDirty: version.version.endsWith('-dirty'),
        },
        resolvedDependencies: [
          { name: 'source', digest: { gitCommit: version.commit } },
          { name: 'pnpm-lock.yaml', digest: { sha256: lockfile } },
        ],
      },
      runDetails: { builder: { id: builder, version: { node } } },
    },
  };
  return `${JSON.stringify(statement, undefined, 2)}\n`;
}
