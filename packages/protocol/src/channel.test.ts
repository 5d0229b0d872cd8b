import { describe, expect, it } from 'vitest';
import { isChannelName, isReservedChannel } from './channel.ts';

describe('isChannelName', () => {
  it.each([
    'a',
    '7',
    'BTC.trade',
    'btc.trade',
    'BTC-PERP/USD@1m:v_2',
    'constructor',
    'tw:probe',
    'a'.repeat(127),
    'a'.repeat(128),
  ])('accepts %j', (name) => {
    expect(isChannelName(name)).toBe(true);
  });

  it.each([
    ['nothing', ''],
    ['129 characters', 'a'.repeat(129)],
    ['a newline at the end, which `$` lets through elsewhere', 'BTC.trade\n'],
    ['a carriage return at the end', 'BTC.trade\r'],
    ['a second line', 'BTC\nETH'],
    ['a NUL', 'BTC\0'],
    ['DEL', 'BTC\x7f'],
    ['a space', 'BTC trade'],
    ['a tab', '\tBTC'],
    ['a quote', 'BTC"'],
    ['a backslash', 'BTC\\'],
    ['a glob star', 'BTC.*'],
    ['a glob question mark', 'BTC?'],
    ['a glob class', 'BTC[12]'],
    ['a Redis key tag', '{BTC}'],
    ['a keyspace name', '__keyspace@0__:a'],
    ['a dot in front', '.BTC'],
    ['a hyphen in front', '-BTC'],
    ['an at sign in front, as of a header', '@1:a:1:1;'],
    ['a letter beyond ASCII', 'BTCé'],
    ['a digit beyond ASCII', '٣'],
    ['a fullwidth letter', 'BT\uff23'],
    ['an emoji', 'BTC😀'],
    ['half an emoji', 'BTC\ud83d'],
    ['the long s, which ignoring case makes an s', 'ſ'],
  ])('refuses %s', (_what, name) => {
    expect(isChannelName(name)).toBe(false);
  });
});

describe('isReservedChannel', () => {
  it.each([
    ['tw:', true],
    ['tw:probe', true],
    ['TW:probe', false],
    ['tw', false],
    ['two:probe', false],
    ['a.tw:probe', false],
  ])('%j: %s', (name, reserved) => {
    expect(isReservedChannel(name)).toBe(reserved);
  });
});
