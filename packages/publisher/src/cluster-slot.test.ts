import { expect, it } from 'vitest';
import { slotOf } from './cluster-slot.ts';

// By CLUSTER KEYSLOT of Redis 7.0.15.
it.each([
  ['123456789', 12_739],
  ['foo', 12_182],
  ['a', 15_495],
])('has %s in slot %i', (channel, slot) => {
  expect(slotOf(channel)).toBe(slot);
});
