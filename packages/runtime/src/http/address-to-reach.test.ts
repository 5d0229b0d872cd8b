import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { addressToReach } from './address-to-reach.ts';

const LOOPBACK = address('127.0.0.1', { internal: true });
const OF_ONE_LINK = address('fe80::1', { scopeid: 2 });

describe('addressToReach', () => {
  it('tells an address that was chosen as it is', () => {
    expect(addressToReach('10.0.0.4', 9_080, {})).toBe('10.0.0.4:9080');
    expect(addressToReach('node.internal', 9_080, {})).toBe('node.internal:9080');
    expect(addressToReach('fd00::4', 9_080, {})).toBe('[fd00::4]:9080');
  });

  it.each(['0.0.0.0', '::'])('tells the first outward address instead of %s', (host) => {
    const eth0 = [OF_ONE_LINK, address('fd00::5'), address('10.0.0.5')];
    expect(addressToReach(host, 9_080, { lo: [LOOPBACK], eth0 })).toBe('10.0.0.5:9080');
  });

  it('tells an IPv6 address of a machine without IPv4', () => {
    const eth0 = [OF_ONE_LINK, address('fd00::5')];
    expect(addressToReach('::', 9_080, { lo: [LOOPBACK], eth0 })).toBe('[fd00::5]:9080');
  });

  it('tells loopback on a machine without a network', () => {
    expect(addressToReach('0.0.0.0', 9_080, { lo: [LOOPBACK] })).toBe('127.0.0.1:9080');
  });
});

function address(
  text: string,
  {
    internal = false,
    scopeid = 0,
  }: { readonly internal?: boolean; readonly scopeid?: number } = {},
): NetworkInterfaceInfo {
  const common = { address: text, internal, netmask: '', mac: '', cidr: null };
  return text.includes(':')
    ? { ...common, family: 'IPv6', scopeid }
    : { ...common, family: 'IPv4' };
}
