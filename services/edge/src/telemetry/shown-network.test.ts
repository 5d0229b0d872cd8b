import { expect, it } from 'vitest';
import { shownNetwork } from './shown-network.ts';

it.each([
  ['', ''],
  ['203.0.113.77', '203.0.113.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
])('shows of %j only %j', (address, network) => {
  expect(shownNetwork(address)).toBe(network);
});
