import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { CHANNEL_PATTERN_GRAMMAR, compileChannelPatterns } from './channel-filter.ts';

describe('compileChannelPatterns', () => {
  it.each([
    ['BTC.trade', 'BTC.trade', true],
    ['BTC.trade', 'BTC.trades', false],
    ['BTC.trade', 'btc.trade', false],
    ['*.trade', 'BTC.trade', true],
    ['*.trade', '.trade', true],
    ['*.trade', 'BTC.trade.x', false],
    ['BTC.*', 'BTC.', true],
    ['BTC.*', 'BTCX', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'acb', false],
    ['a*bc*c', 'abc', false],
    ['**', 'anything', true],
  ])('%s offers %s: %s', (pattern, channel, expected) => {
    expect(compileChannelPatterns([pattern])(channel)).toBe(expected);
  });

  it('offers what any of the patterns does, and nothing without one', () => {
    const filter = compileChannelPatterns(['*.trade', 'news']);
    expect(['BTC.trade', 'news', 'weather'].map(filter)).toEqual([true, true, false]);
    expect(compileChannelPatterns([])('BTC.trade')).toBe(false);
  });

  it('takes every character but the star for itself', () => {
    expect(compileChannelPatterns(['a.b'])('axb')).toBe(false);
  });

  it('agrees with a regular expression made of the pattern', () => {
    const texts = (alphabet: string) =>
      fc.array(fc.constantFrom(...alphabet), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(texts('ab.*'), texts('ab.'), (pattern, channel) => {
        const text = pattern.join('');
        expect(text).toMatch(CHANNEL_PATTERN_GRAMMAR);
        const expected = new RegExp(`^${text.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
        const name = channel.join('');
        expect(compileChannelPatterns([text])(name)).toBe(expected.test(name));
      }),
      cases(5_000),
    );
  });

  it('is quick with a pattern on which backtracking explodes', () => {
    const filter = compileChannelPatterns(['*a'.repeat(60)]);
    const startedAt = performance.now();
    expect(filter(`${'a'.repeat(127)}b`)).toBe(false);
    expect(filter(`b${'a'.repeat(59)}`)).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});
