import { describe, expect, it } from 'vitest';
import { isNetwork, TrustedProxies } from './trusted-proxies.ts';

/** Two of Google's ranges, the balancer's own address, an IPv6 range, and a proxy behind them. */
const PROXIES = new TrustedProxies([
  '35.191.0.0/16',
  '130.211.0.0/22',
  '34.120.0.1',
  'fd00::/8',
  '10.0.0.9/32',
]);
const PEER = '35.191.7.7';
const CLIENT = '203.0.113.7';

describe('the address of a client behind trusted proxies', () => {
  it.each([
    ['without the header: the proxy', undefined, PEER],
    ['empty: the proxy', '', PEER],
    ['one address', CLIENT, CLIENT],
    ['behind two proxies', `${CLIENT}, 34.120.0.1`, CLIENT],
    ['behind several proxies, without spaces', `${CLIENT},10.0.0.9,34.120.0.1`, CLIENT],
    ['with what the client claims on the left', `198.51.100.1, ${CLIENT}, 34.120.0.1`, CLIENT],
    ['where the client claims to be a proxy', `35.191.0.1, ${CLIENT}, 34.120.0.1`, CLIENT],
    ['where the client claims junk', `<script>, , ;;, ${CLIENT}, 34.120.0.1`, CLIENT],
    ['several headers, as Node joins them', `198.51.100.1, 198.51.100.2, ${CLIENT}`, CLIENT],
    ['with ports', `198.51.100.1:1, ${CLIENT}:51234, 34.120.0.1:443`, CLIENT],
    ['IPv6', '198.51.100.1, 2001:DB8::0001', '2001:db8::1'],
    ['IPv6 in brackets with a port', '[2001:db8::1]:51234, [fd00::2]', '2001:db8::1'],
    ['IPv6 in brackets without a port', '[2001:db8::1]', '2001:db8::1'],
    ['an IPv4 address that is mapped into IPv6', `::ffff:${CLIENT}, ::ffff:34.120.0.1`, CLIENT],
    ['junk from the proxy: the proxy', `${CLIENT}, unknown`, PEER],
    ['junk behind a proxy: that proxy', `${CLIENT}, unknown, 34.120.0.1`, '34.120.0.1'],
    ['an empty entry at the end: the proxy', `${CLIENT}, `, PEER],
    ['only commas: the proxy', ',,,', PEER],
    ['an IPv4 address in brackets and text behind it: the proxy', `[${CLIENT}]x`, PEER],
    ['a port that is none: the proxy', `${CLIENT}:port`, PEER],
    ['proxies only: the one furthest left', '10.0.0.9, 34.120.0.1', '10.0.0.9'],
    ['too long an entry: the proxy', `${CLIENT}${' '.repeat(16_000)}`, PEER],
    ['a long claim on the left', `${'1.1.1.1,'.repeat(2_000)} ${CLIENT}`, CLIENT],
  ])('is right %s', (_what, header, address) => {
    expect(PROXIES.clientOf(PEER, header)).toBe(address);
  });

  it('looks at 16 entries, however many proxies stand there', () => {
    const proxies = Array.from({ length: 20 }, (_, i) => `35.191.1.${i}`);
    expect(PROXIES.clientOf(PEER, proxies.join(', '))).toBe('35.191.1.4');
  });

  it('is the peer’s if the peer is no trusted proxy, whatever the header says', () => {
    for (const header of [undefined, '198.51.100.1', '35.191.0.1, 198.51.100.1']) {
      expect(PROXIES.clientOf(CLIENT, header)).toBe(CLIENT);
      expect(new TrustedProxies([]).clientOf(PEER, header)).toBe(PEER);
    }
  });
});

describe('isNetwork', () => {
  it.each(['10.0.0.0/8', '10.0.0.1', '0.0.0.0/0', '::/0', 'fd00::/8', '2001:db8::1/128'])(
    'accepts %s',
    (text) => {
      expect(isNetwork(text)).toBe(true);
    },
  );

  it.each([
    '',
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    '::/129',
    '10.0.0.0/8/8',
    'x/8',
    '10.0.0.0/-1',
  ])('refuses %j', (text) => {
    expect(isNetwork(text)).toBe(false);
  });
});
