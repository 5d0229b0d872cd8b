import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { SlabMemory } from './slab-memory.ts';

const SLAB_BYTES = 1024 * 1024;

describe('SlabMemory', () => {
  it('never gives out the same memory twice, whatever is given back and given up in between', () => {
    const step = fc.record({
      bits: fc.integer({ min: 4, max: 18 }),
      givesBack: fc.nat({ max: 3 }),
      trims: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new SlabMemory();
        const held: { block: number; integers: number; mark: number }[] = [];
        for (const [mark, { bits, givesBack, trims }] of steps.entries()) {
          for (const { block } of held.splice(0, givesBack)) memory.giveBack(block);
          if (trims) memory.trim();
          const integers = 2 ** bits;
          const block = memory.take(integers);
          const from = memory.offset(block);
          expect(from + integers).toBeLessThanOrEqual(memory.at(block).length);
          memory.at(block).fill(mark, from, from + integers);
          held.push({ block, integers, mark });
        }
        for (const { block, integers, mark } of held) {
          const from = memory.offset(block);
          const found = memory.at(block).subarray(from, from + integers);
          expect(found.every((each) => each === mark)).toBe(true);
          memory.giveBack(block);
        }
        memory.trim();
        memory.trim();
        expect(memory.bytes).toBe(0);
      }),
      cases(50),
    );
  });

  it('has no more than was needed at the most', () => {
    const memory = new SlabMemory();
    for (let round = 0; round < 100; round += 1) {
      const blocks = Array.from({ length: 1_000 }, () => memory.take(64));
      for (const block of blocks) memory.giveBack(block);
    }
    expect(memory.bytes).toBe(SLAB_BYTES);
  });

  it('gives up what a burst needed, among short blocks that stay in use', () => {
    const memory = new SlabMemory();
    const short: number[] = [];
    const long: number[] = [];
    for (let client = 0; client < 1_000; client += 1) {
      short.push(memory.take(16));
      long.push(memory.take(1_024));
    }
    expect(memory.bytes).toBe(5 * SLAB_BYTES);
    for (const block of long) memory.giveBack(block);
    memory.trim();
    expect(memory.bytes).toBe(5 * SLAB_BYTES);
    memory.trim();
    expect(memory.bytes).toBe(SLAB_BYTES);
    expect(new Set(short.map((block) => memory.at(block))).size).toBe(1);
  });

  it('keeps what was needed again meanwhile', () => {
    const memory = new SlabMemory();
    for (let second = 0; second < 5; second += 1) {
      memory.giveBack(memory.take(64));
      memory.trim();
      expect(memory.bytes).toBe(SLAB_BYTES);
    }
  });

  it('refuses a block when there are as many slabs as may be, and has room again when one is given up', () => {
    const memory = new SlabMemory(2);
    const first = memory.take(2 ** 18);
    const second = memory.take(2 ** 18);
    expect(() => memory.take(16)).toThrow('all 2 slabs');
    memory.giveBack(first);
    memory.trim();
    memory.trim();
    const block = memory.take(16);
    expect(memory.at(block)).not.toBe(memory.at(second));
  });

  it('refuses a block that no slab can hold', () => {
    expect(() => new SlabMemory().take(2 ** 19)).toThrow(RangeError);
  });
});
