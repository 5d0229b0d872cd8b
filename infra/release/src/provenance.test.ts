import { describe, expect, it } from 'vitest';
import { createProvenance } from './provenance.ts';
import { composeVersion } from './version.ts';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';

function statementOf(isDirty: boolean) {
  return JSON.parse(
    createProvenance({
      version: composeVersion('1.2.3', `${COMMIT} 1795416898`, isDirty),
      subjects: [{ file: 'tradewind-edge.tar.gz', sha256: 'ab' }],
      builder: 'https://ci.example/release',
      lockfile: 'cd',
      node: 'v24.21.0',
    }),
  );
}

describe('createProvenance', () => {
  it('names the files by their digests, the commit, the lockfile and the builder', () => {
    const { subject, predicate, ...statement } = statementOf(false);
    expect(statement).toEqual({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://slsa.dev/provenance/v1',
    });
    expect(subject).toEqual([{ name: 'tradewind-edge.tar.gz', digest: { sha256: 'ab' } }]);
    expect(predicate.buildDefinition.resolvedDependencies).toEqual([
      { name: 'source', digest: { gitCommit: COMMIT } },
      { name: 'pnpm-lock.yaml', digest: { sha256: 'cd' } },
    ]);
    expect(predicate.runDetails.builder).toMatchObject({ id: 'https://ci.example/release' });
  });

  it('says when a release has files that its commit does not have', () => {
    const isDirty = (statement: ReturnType<typeof statementOf>) =>
      statement.predicate.buildDefinition.externalParameters.isDirty;
    expect(isDirty(statementOf(true))).toBe(true);
    expect(isDirty(statementOf(false))).toBe(false);
  });
});
