import { describe, expect, it } from 'vitest';
import { allocatedBytes } from './allocation-count.ts';

describe('allocatedBytes', () => {
  it('is the growth between collections', () => {
    const collections = [
      { beforeBytes: 150, afterBytes: 20, micros: 1 },
      { beforeBytes: 90, afterBytes: 30, micros: 1 },
    ];
    expect(allocatedBytes(100, collections, 75)).toBe(50 + 70 + 45);
    expect(allocatedBytes(100, [], 130)).toBe(30);
  });
});
