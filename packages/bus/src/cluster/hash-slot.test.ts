import { describe, expect, it } from 'vitest';
import { logKey, metaKey } from '../contract/channel-keys.ts';
import { hashSlot, SLOTS } from './hash-slot.ts';

describe('hashSlot', () => {
  it.each([
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{user1000}.following', 3_443],
    ['user1000', 3_443],
    ['foo{}{bar}', 8_363],
    ['foo{{bar}}zap', hashSlot('{bar')],
    ['', 0],
  ])('puts %j where Redis does', (key, slot) => {
    expect(hashSlot(key)).toBe(slot);
  });

  it('puts all keys of a channel, and the channel, into one slot', () => {
    for (const channel of ['BTC.trade', 'a:b/c@d-e', 'x'.repeat(128)]) {
      expect(hashSlot(metaKey(channel))).toBe(hashSlot(channel));
      expect(hashSlot(logKey(channel))).toBe(hashSlot(channel));
      expect(hashSlot(channel)).toBeLessThan(SLOTS);
    }
  });
});
