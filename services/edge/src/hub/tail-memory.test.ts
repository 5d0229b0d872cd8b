import { expect, it } from 'vitest';
import { TailMemory } from './tail-memory.ts';

it('gives everyone a part of their own, of the size that was asked for', () => {
  const memory = new TailMemory();
  const parts = Array.from({ length: 2_000 }, (_, i) => memory.take((i * 37) % 5_000));
  for (const [i, part] of parts.entries()) part.fill(i % 251);
  for (const [i, part] of parts.entries()) {
    expect(part.length).toBe((i * 37) % 5_000);
    expect(part.every((byte) => byte === i % 251)).toBe(true);
  }
});

it('keeps small tails together and gives large ones memory of their own', () => {
  const memory = new TailMemory();
  const small = Array.from({ length: 10 }, () => memory.take(600));
  expect(new Set(small.map(({ buffer }) => buffer)).size).toBe(1);
  expect(memory.take(5_000).buffer.byteLength).toBe(5_000);
  expect(small[0]!.buffer.byteLength).toBeLessThanOrEqual(16 * 1024);
});
