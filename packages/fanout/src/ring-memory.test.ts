import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RingMemory } from './ring-memory.ts';

const PIECE_BYTES = 1024 * 1024;

describe('RingMemory', () => {
  it('never gives out the same memory twice, whatever is given back and given up in between', () => {
    const step = fc.record({
      bits: fc.integer({ min: 4, max: 18 }),
      givesBack: fc.nat({ max: 3 }),
      trims: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new RingMemory();
        const held: { ring: number; integers: number; mark: number }[] = [];
        for (const [mark, { bits, givesBack, trims }] of steps.entries()) {
          for (const { ring } of held.splice(0, givesBack)) memory.giveBack(ring);
          if (trims) memory.trim();
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
          expect(found.every((each) => each === mark)).toBe(true);
          memory.giveBack(ring);
        }
        memory.trim();
        memory.trim();
        expect(memory.bytes).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('has no more than was needed at the most', () => {
    const memory = new RingMemory();
    for (let round = 0; round < 100; round += 1) {
      const rings = Array.from({ length: 1_000 }, () => memory.take(64));
      for (const ring of rings) memory.giveBack(ring);
    }
    expect(memory.bytes).toBe(PIECE_BYTES);
  });

  it('gives up what a burst needed, among short rings that stay in use', () => {
    const memory = new RingMemory();
    const short: number[] = [];
    const long: number[] = [];
    for (let client = 0; client < 1_000; client += 1) {
      short.push(memory.take(16));
      long.push(memory.take(1_024));
    }
    expect(memory.bytes).toBe(5 * PIECE_BYTES);
    for (const ring of long) memory.giveBack(ring);
    memory.trim();
    expect(memory.bytes).toBe(5 * PIECE_BYTES);
    memory.trim();
    expect(memory.bytes).toBe(PIECE_BYTES);
    expect(new Set(short.map((ring) => memory.at(ring))).size).toBe(1);
  });

  it('keeps what was needed again meanwhile', () => {
    const memory = new RingMemory();
    for (let second = 0; second < 5; second += 1) {
      memory.giveBack(memory.take(64));
      memory.trim();
      expect(memory.bytes).toBe(PIECE_BYTES);
    }
  });

  it('refuses a ring when there are as many pieces as may be, and has room again when one is given up', () => {
    const memory = new RingMemory(2);
    const first = memory.take(2 ** 18);
    const second = memory.take(2 ** 18);
    expect(() => memory.take(16)).toThrow('all 2 pieces');
    memory.giveBack(first);
    memory.trim();
    memory.trim();
    const ring = memory.take(16);
    expect(memory.at(ring)).not.toBe(memory.at(second));
  });

  it('refuses a ring that no piece of memory can hold', () => {
    expect(() => new RingMemory().take(2 ** 19)).toThrow(RangeError);
  });
});
