import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coveredRevocations, readRevocation, writeRevocation } from './revocation.ts';

describe('readRevocation', () => {
  it('reads back what was written', () => {
    const name = fc.string({ minLength: 1, maxLength: 256 });
    const time = fc.nat(Number.MAX_SAFE_INTEGER);
    const revocation = fc.oneof(
      fc.record({ subject: name, until: time }),
      fc.record({ subject: name, issuedBefore: time, until: time }),
      fc.record({ tokenId: name, until: time }),
      fc.record({ issuedBefore: time, until: time }),
    );
    fc.assert(
      fc.property(revocation, (each) => {
        expect(readRevocation(Buffer.from(writeRevocation(each)))).toEqual(each);
      }),
    );
  });

  it('writes the same text whatever the order of the fields', () => {
    const text = '{"sub":"u1","issuedBefore":7,"until":9}';
    expect(writeRevocation({ until: 9, issuedBefore: 7, subject: 'u1' })).toBe(text);
  });

  it.each([
    ...['', 'null', '7', '[]', '{', '{}', '{"until":9}', '{"sub":"u1"}', '{"jti":"x","until":-1}'],
    ...['{"sub":"","until":9}', '{"sub":7,"until":9}', '{"sub":"u1","until":"9"}'],
    ...['{"sub":"u1","jti":"x","until":9}', '{"sub":"u1","issuedBefore":null,"until":9}'],
    ...['{"sub":"u1","until":9.5}', '{"sub":"u1","until":1e300}'],
    `{"sub":"${'u'.repeat(257)}","until":9}`,
    `{"sub":"u1","until":9,"more":"${'u'.repeat(4_096)}"}`,
  ])('takes %s for none', (text) => expect(readRevocation(text)).toBeUndefined());

  it('ignores fields that it does not know', () => {
    expect(readRevocation('{"sub":"u1","until":9,"why":"left"}')).toEqual({
      ...{ subject: 'u1', until: 9 },
    });
  });
});

describe('coveredRevocations', () => {
  const u1 = { subject: 'u1', issuedBefore: 20, until: 200 };

  it('names those that another one of the same tokens makes needless', () => {
    const needless = [
      { subject: 'u1', issuedBefore: 10, until: 200 },
      { subject: 'u1', issuedBefore: 20, until: 100 },
    ].map(writeRevocation);
    const needed = [
      u1,
      { subject: 'u1', issuedBefore: 10, until: 300 },
      { subject: 'u1', until: 150 },
      { subject: 'u2', issuedBefore: 10, until: 100 },
      { tokenId: 'u1', until: 100 },
      { issuedBefore: 10, until: 100 },
    ].map(writeRevocation);
    for (const texts of [
      [...needless, ...needed],
      [...needed, ...needless, 'junk'],
    ]) {
      expect(coveredRevocations(texts).sort()).toEqual(needless.toSorted());
    }
  });
});
