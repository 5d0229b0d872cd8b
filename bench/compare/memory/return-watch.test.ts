import { describe, expect, it } from 'vitest';
import { leastHeld, ReturnWatch, type UnforcedReturn } from './return-watch.ts';

/** One reading a second, from the first on; the last one repeats. Bound 100, deadline 60 s. */
function watch(readings: readonly number[]): UnforcedReturn {
  const watching = new ReturnWatch(100, 60);
  for (let seconds = 0; ; seconds += 1) {
    const found = watching.take(seconds, readings[Math.min(seconds, readings.length - 1)]!);
    if (found !== undefined) return found;
  }
}

describe('ReturnWatch', () => {
  it('reports since when memory has been within its bound', () => {
    expect(watch([300, 200, 100, 90])).toEqual({ pssBytes: 90, isBack: true, seconds: 2 });
  });

  it('does not count a moment between two collections', () => {
    const found = watch([300, 90, 90, 300, 300, 90]);
    expect(found).toEqual({ pssBytes: 90, isBack: true, seconds: 5 });
  });

  it('gives up at its deadline, and reports what is held then', () => {
    expect(watch([300, 150])).toEqual({ pssBytes: 150, isBack: false, seconds: 60 });
  });

  it('measures a return at the last moment for as long as any other', () => {
    const late = [...Array.from({ length: 59 }, () => 300), 90];
    expect(watch(late)).toEqual({ pssBytes: 90, isBack: true, seconds: 59 });
  });
});

describe('leastHeld', () => {
  const held = (readings: readonly number[]) =>
    leastHeld(readings.map((pssBytes, seconds) => ({ seconds, pssBytes })));

  it('uses the best 5 s, and the highest reading in them', () => {
    expect(held([300, 300, 100, 110, 90, 100, 120, 100, 300, 90])).toBe(120);
  });

  it('finds nothing in readings of less than 5 s', () => {
    expect(held([100, 100, 100, 100, 100])).toBe(Number.POSITIVE_INFINITY);
    expect(held([])).toBe(Number.POSITIVE_INFINITY);
  });
});
