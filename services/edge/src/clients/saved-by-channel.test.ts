import { describe, expect, it } from 'vitest';
import { SavedByChannel } from './saved-by-channel.ts';

describe('what is saved by channel', () => {
  it('is a rate since it was asked for last', () => {
    const saved = new SavedByChannel();
    saved.count('a', 1_000);
    expect(saved.take(500)('a'), 'nobody had asked').toBe(0);
    saved.count('a', 1_000);
    saved.count('a', 3_000);
    saved.count('b', 10);
    const rates = saved.take(2_500);
    expect(['a', 'b', 'c'].map(rates)).toEqual([2_000, 5, 0]);
    expect(saved.take(3_500)('a')).toBe(0);
  });

  it('is forgotten once nobody asks any more', () => {
    const saved = new SavedByChannel();
    saved.take(0);
    saved.count('a', 1_000);
    for (let i = 0; i < 6; i += 1) saved.tick();
    saved.count('a', 1_000);
    expect(saved.take(1_000)('a')).toBe(0);
  });
});
