import { createHash } from 'node:crypto';
import type { BundledPackage } from './bundled-packages.ts';

/** What a list of parts is made of. */
export interface SbomSource {
  /** The service that the tarball holds. */
  readonly service: string;
  /** See `ReleaseVersion`. */
  readonly version: string;
  /** In s since the Unix epoch. */
  readonly committedAt: number;
  /** The SHA-256 of the tarball, in hexadecimal. */
  readonly sha256: string;
  readonly packages: readonly Pick<BundledPackage, 'name' | 'version' | 'license'>[];
  /** See `readIntegrities`. */
  readonly integrities: ReadonlyMap<string, string>;
  /** The Node in the tarball: its version (`v24.21.0`) and the SHA-256 of its program. */
  readonly node: { readonly version: string; readonly sha256: string };
}

/**
 * A list of all parts of a tarball that are not ours, as CycloneDX 1.6 in JSON: what was bundled, not what is installed. The same
 * tarball has the same list.
 *
 * @throws Error when the lockfile does not have a package: then nobody knows where it came from.
 */
export function createSbom(source: SbomSource): string {
  const { service, version, committedAt, sha256, packages, node } = source;
  const root = `tradewind-${service}@${version}`;
  const components = [
    nodeComponent(node),
    ...packages.map((part) => packageComponent(part, source.integrities)),
  ];
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(sha256)}`,
    version: 1,
    metadata: {
      timestamp: new Date(committedAt * 1_000).toISOString(),
      tools: { components: [{ type: 'application', name: 'tradewind-release', version }] },
      component: {
        ...{ type: 'application', 'bom-ref': root, name: `tradewind-${service}`, version },
        licenses: [{ expression: 'Apache-2.0' }],
        hashes: [{ alg: 'SHA-256', content: sha256 }],
      },
    },
    components,
    dependencies: [{ ref: root, dependsOn: components.map((component) => component['bom-ref']) }],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function packageComponent(
  { name, version, license }: SbomSource['packages'][number],
  integrities: ReadonlyMap<string, string>,
) {
  const sha512 = integrities.get(`${name}@${version}`);
  if (sha512 === undefined) throw new Error(`pnpm-lock.yaml has no ${name}@${version}`);
  // A scope's @ must be escaped (package-url/purl-spec).
  const purl = `pkg:npm/${name.replace(/^@/, '%40')}@${version}`;
  return {
    ...{ type: 'library', 'bom-ref': purl, name, version, purl },
    licenses: [{ expression: license }],
    hashes: [{ alg: 'SHA-512', content: sha512 }],
  };
}

function nodeComponent(node: SbomSource['node']) {
  const version = node.version.replace(/^v/, '');
  const purl = `pkg:generic/node@${version}`;
  return {
    ...{ type: 'platform', 'bom-ref': purl, name: 'node', version, purl },
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
    licenses: [{ expression: 'MIT' }],
    hashes: [{ alg: 'SHA-256', content: node.sha256 }],
  };
}

/** A UUID of version 8 (RFC 9562): of our own making, out of a digest. */
function uuidOf(digest: string): string {
  const hex = createHash('sha256').update(digest).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`];
  return [...parts, `${variant}${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}
