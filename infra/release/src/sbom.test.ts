import { describe, expect, it } from 'vitest';
import { createSbom, type SbomSource } from './sbom.ts';

const SOURCE: SbomSource = {
  service: 'edge',
  version: '1.2.3-abc',
  committedAt: 1_795_416_898,
  sha256: 'ab'.repeat(32),
  packages: [
    { name: '@scope/one', version: '1.0.0', license: 'MIT' },
    { name: 'two', version: '2.0.0', license: '(MIT OR Apache-2.0)' },
  ],
  integrities: new Map([
    ['@scope/one@1.0.0', '11'],
    ['two@2.0.0', '22'],
  ]),
  node: { version: 'v24.21.0', sha256: 'cd' },
};

describe('createSbom', () => {
  it('lists Node and every package, with where it comes from, its licence and its checksum', () => {
    const { components, metadata, dependencies } = JSON.parse(createSbom(SOURCE));
    expect(components).toMatchObject([
      { name: 'node', version: '24.21.0', hashes: [{ alg: 'SHA-256', content: 'cd' }] },
      {
        ...{ name: '@scope/one', purl: 'pkg:npm/%40scope/one@1.0.0' },
        licenses: [{ expression: 'MIT' }],
        hashes: [{ alg: 'SHA-512', content: '11' }],
      },
      { name: 'two', purl: 'pkg:npm/two@2.0.0', licenses: [{ expression: '(MIT OR Apache-2.0)' }] },
    ]);
    expect(metadata.component).toMatchObject({
      ...{ name: 'tradewind-edge', version: '1.2.3-abc' },
      hashes: [{ alg: 'SHA-256', content: SOURCE.sha256 }],
    });
    expect(dependencies[0].dependsOn).toHaveLength(3);
  });

  it('is the same for the same tarball, and has another number for another one', () => {
    const other = { ...SOURCE, sha256: 'ba'.repeat(32) };
    expect(createSbom(SOURCE)).toBe(createSbom(SOURCE));
    const [one, two] = [SOURCE, other].map((source) => JSON.parse(createSbom(source)).serialNumber);
    expect(one).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(one).not.toBe(two);
  });

  it('refuses a package that the lockfile does not have', () => {
    const packages = [{ name: 'three', version: '3.0.0', license: 'MIT' }];
    expect(() => createSbom({ ...SOURCE, packages })).toThrow('no three@3.0.0');
  });
});
