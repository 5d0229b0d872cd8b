import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RingMemory } from './ring-memory.ts';

const LEAST = 16;

describe('RingMemory', () => {
  it('never gives out the same memory twice, whatever is given back in between', () => {
    const step = fc.record({ bits: fc.integer({ min: 4, max: 18 }), givesBack: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new RingMemory(LEAST);
        const held: { ring: number; integers: number; mark: number }[] = [];
        for (const [mark, { bits, givesBack }] of steps.entries()) {
          const oldest = givesBack ? held.shift() : undefined;
          if (oldest !== undefined) memory.giveBack(oldest.ring, oldest.integers);
          const integers = 2 ** bits;
          const ring = memory.take(integers);
          const from = memory.offset(ring);
          expect(from + integers).toBeLessThanOrEqual(memory.at(ring).length);
          memory.at(ring).fill(mark, from, from + integers);
          held.push({ ring, integers, mark });
        }
        for (const { ring, integers, mark } of held) {
          const from = memory.offset(ring);
          const found = memory.at(ring).subarray(from, from + integers);
          expect([found[0], found[integers - 1]]).toEqual([mark, mark]);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('has no more than was needed at the most', () => {
    const memory = new RingMemory(LEAST);
    for (let round = 0; round < 100; round += 1) {
      const rings = Array.from({ length: 1_000 }, () => memory.take(64));
      for (const ring of rings) memory.giveBack(ring, 64);
    }
    expect(memory.bytes).toBe(1024 * 1024);
  });

  it('refuses a ring that no piece of memory can hold', () => {
    expect(() => new RingMemory(LEAST).take(2 ** 19)).toThrow(RangeError);
  });
});
