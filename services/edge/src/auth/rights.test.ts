import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { MAX_GLOBS, type Rights, readRights, rightsTo } from './rights.ts';

const ALL = rightsTo(() => true);

describe('readRights', () => {
  it('denies what is absent', () => {
    for (const claim of [undefined, {}, { limits: {} }]) {
      const rights = readRights(claim, ALL) as Rights;
      expect(rights.allows('BTC.trade')).toBe(false);
      expect(rights.allowsHistory('BTC.trade')).toBe(false);
    }
  });

  it('gives the channels and the history that the claim names, each for itself', () => {
    const rights = readRights({ channels: ['BTC.*', 'news'], history: ['news'] }, ALL) as Rights;
    const channels = ['BTC.trade', 'news', 'ETH.trade'];
    expect(channels.map((channel) => rights.allows(channel))).toEqual([true, true, false]);
    expect(channels.map((channel) => rights.allowsHistory(channel))).toEqual([false, true, false]);
  });

  it('gives nothing that the node does not offer, and no limit that is wider than the node’s', () => {
    const own = { maxChannels: 5, maxHistory: 7, requestsPerSecond: 50, replayBytesPerSecond: 9 };
    const offered = { ...rightsTo((channel) => channel !== 'x'), ...own };
    const limits = {
      maxChannels: 9,
      maxHistory: 3,
      requestsPerSecond: 5,
      replayBytesPerSecond: 10,
    };
    const claim = { channels: ['*'], history: ['*'], limits };
    const rights = readRights(claim, offered) as Rights;
    expect([rights.allows('x'), rights.allowsHistory('x')]).toEqual([false, false]);
    expect([rights.maxChannels, rights.maxHistory]).toEqual([5, 3]);
    expect([rights.requestsPerSecond, rights.replayBytesPerSecond]).toEqual([5, 9]);
  });

  it('takes 64 globs of 128 characters', () => {
    const globs = Array.from({ length: MAX_GLOBS }, () => `${'a'.repeat(127)}*`);
    const rights = readRights({ channels: globs }, ALL) as Rights;
    expect(rights.allows('a'.repeat(128))).toBe(true);
  });

  it.each([
    ['no object', 'all'],
    ['a list', ['*']],
    ['null', null],
    ['channels that are no list', { channels: '*' }],
    ['a glob that is no text', { channels: [1] }],
    ['an empty glob', { channels: [''] }],
    ['a glob with another character', { history: ['a?b'] }],
    ['a glob of 129 characters', { channels: ['a'.repeat(129)] }],
    ['65 globs', { history: Array.from({ length: MAX_GLOBS + 1 }, () => 'a') }],
    ['a limit that is misspelt', { limits: { maxChanels: 1 } }],
    ['a limit that is no number', { limits: { maxChannels: '1' } }],
    ['a limit below 0', { limits: { maxHistory: -1 } }],
    ['a rate of requests of 0', { limits: { requestsPerSecond: 0 } }],
    ['a rate of replays that is no integer', { limits: { replayBytesPerSecond: 0.5 } }],
    ['a limit that every object has', { limits: { constructor: 1 } }],
    ['limits whose own name is misspelt', { channels: ['*'], limit: { maxChannels: 1 } }],
    ['a name that objects inherit', JSON.parse('{"__proto__":{"channels":["*"]}}')],
    ['limits that are no object', { limits: 1 }],
  ])('gives no rights for %s', (_what, claim) => {
    expect(readRights(claim, ALL)).toBeUndefined();
  });

  it('agrees with a naive matcher', () => {
    const texts = (alphabet: string) =>
      fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(texts('ab.*'), { maxLength: 4 }), texts('ab.'), (globs, channel) => {
        const rights = readRights({ channels: globs }, ALL) as Rights;
        expect(rights.allows(channel)).toBe(globs.some((glob) => matchesNaively(glob, channel)));
      }),
      cases(5_000),
    );
  });
});

/** By the definition: a star stands for any text. */
function matchesNaively(glob: string, text: string): boolean {
  if (glob === '') return text === '';
  if (glob[0] !== '*') return glob[0] === text[0] && matchesNaively(glob.slice(1), text.slice(1));
  return Array.from({ length: text.length + 1 }, (_, i) => text.slice(i)).some((rest) =>
    matchesNaively(glob.slice(1), rest),
  );
}
