import { MAX_REVOCATIONS, type Revocation } from '@tradewind/bus';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_TABLE_ENTRIES, type RevocableToken, RevocationTable } from './revocation-table.ts';

const NOW = 1_000_000;
const until = NOW + 1_000;

const token = (changes: Partial<RevocableToken> = {}): RevocableToken => ({
  ...{ subject: 'u1', tokenId: 'j1', issuedAt: 100 },
  ...changes,
});

function tableWith(...revocations: readonly Revocation[]): RevocationTable {
  const table = new RevocationTable();
  for (const each of revocations) expect(table.add(each, NOW)).toBe(true);
  return table;
}

describe('RevocationTable', () => {
  it.each<[string, Revocation, Partial<RevocableToken>, boolean]>([
    ['a subject', { subject: 'u1', until }, {}, true],
    ['another subject', { subject: 'u2', until }, {}, false],
    ['a token id', { tokenId: 'j1', until }, { subject: 'u2' }, true],
    ['another token id', { tokenId: 'j2', until }, {}, false],
    ['a token id, of a token without one', { tokenId: 'j1', until }, { tokenId: undefined }, false],
    ['a subject, issued before', { subject: 'u1', issuedBefore: 101, until }, {}, true],
    ['a subject, issued then', { subject: 'u1', issuedBefore: 100, until }, {}, false],
    ['all, issued before', { issuedBefore: 101, until }, { subject: 'u9' }, true],
    ['all, issued then', { issuedBefore: 100, until }, {}, false],
    ['a token without iat', { subject: 'u1', issuedBefore: 1, until }, { issuedAt: 0 }, true],
    ['what has ended', { subject: 'u1', until: NOW }, {}, false],
  ])('covers by %s', (_what, revocation, changes, isCovered) => {
    expect(tableWith(revocation).covers(token(changes), NOW)).toBe(isCovered);
  });

  it('ends with the revocation', () => {
    const table = tableWith({ subject: 'u1', until });
    expect(table.covers(token(), until - 1)).toBe(true);
    expect(table.covers(token(), until)).toBe(false);
  });

  it('reaches at least as far as each of its revocations, in any order, and so does a copy', () => {
    const name = fc.constantFrom('a', 'b');
    const time = fc.integer({ min: 0, max: 6 });
    const end = fc.integer({ min: NOW - 2, max: NOW + 4 });
    const revocation = fc.oneof(
      fc.record({ subject: name, until: end }),
      fc.record({ subject: name, issuedBefore: time, until: end }),
      fc.record({ tokenId: name, until: end }),
      fc.record({ issuedBefore: time, until: end }),
    );
    const tokens = ['a', 'b', 'c'].flatMap((subject) =>
      [undefined, 'a', 'b'].flatMap((tokenId) =>
        [0, 2, 5].map((issuedAt) => ({ subject, tokenId, issuedAt })),
      ),
    );
    fc.assert(
      fc.property(fc.array(revocation, { maxLength: 8 }), (revocations: readonly Revocation[]) => {
        const table = tableWith(...revocations);
        const reversed = tableWith(...revocations.toReversed());
        const copy = tableWith(...table.entries());
        for (const each of tokens) {
          for (const now of [NOW, NOW + 2]) {
            const isCovered = table.covers(each, now);
            expect(reversed.covers(each, now)).toBe(isCovered);
            expect(copy.covers(each, now)).toBe(isCovered);
            const reachedBy = (one: Revocation) => tableWith(one).covers(each, now);
            if (revocations.some(reachedBy)) expect(isCovered).toBe(true);
            if (!isCovered) continue;
            // Nothing is covered that no revocation speaks of.
            const concerns = ({ subject, tokenId, issuedBefore, until: ends }: Revocation) =>
              ends > NOW &&
              (subject ?? each.subject) === each.subject &&
              (tokenId ?? each.tokenId) === each.tokenId &&
              each.issuedAt < (issuedBefore ?? Number.POSITIVE_INFINITY);
            expect(revocations.some(concerns)).toBe(true);
          }
        }
      }),
    );
  });

  it('blocks a subject for no longer than was asked, whatever else is revoked meanwhile', () => {
    const later = until + 1_000;
    const disconnect: Revocation = { subject: 'u1', issuedBefore: 101, until: later };
    const table = tableWith({ subject: 'u1', until }, disconnect);
    for (const each of [table, tableWith(...table.entries())]) {
      expect(each.covers(token({ issuedAt: 500 }), until - 1)).toBe(true);
      expect(each.covers(token({ issuedAt: 500 }), until)).toBe(false);
      expect(each.covers(token(), later - 1)).toBe(true);
    }
  });

  it('holds a bounded number, makes room from what has ended, and says when there is none', () => {
    const table = new RevocationTable(3);
    for (const subject of ['a', 'b']) table.add({ subject, until }, NOW);
    expect(table.add({ tokenId: 'j', until: until + 1 }, NOW)).toBe(true);
    expect(table.add({ subject: 'c', until }, NOW)).toBe(false);
    expect(table.add({ subject: 'a', until: until + 1 }, NOW)).toBe(true);
    expect(table.covers(token({ subject: 'c' }), NOW)).toBe(false);
    expect(table.add({ subject: 'c', until: until + 1 }, until)).toBe(true);
    expect(table.size).toBe(3);
  });

  it('has room for all that Redis keeps', () => {
    expect(MAX_TABLE_ENTRIES).toBe(MAX_REVOCATIONS);
  });
});
