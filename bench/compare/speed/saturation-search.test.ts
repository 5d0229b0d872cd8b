import { describe, expect, it } from 'vitest';
import { type Attempt, searchSaturation } from './saturation-search.ts';

/** Searches with a server that carries `short` publications a second for a while, and `long` permanently. */
async function search(start: number, short: number, long = short) {
  const attempts: Attempt[] = [];
  const found = await searchSaturation({
    start,
    resolution: 1.05,
    tryShort: async (rate) => rate <= short,
    tryLong: async (rate) => rate <= long,
    report: (attempt) => attempts.push(attempt),
  });
  return { found, attempts };
}

describe('searchSaturation', () => {
  it.each([1, 100, 3_000, 60_000])(
    'finds 2,500 within 5 percent, beginning at %d',
    async (start) => {
      const { found } = await search(start, 2_500);
      expect(found).toBeLessThanOrEqual(2_500);
      expect(found).toBeGreaterThan(2_500 / 1.05);
    },
  );

  it('steps down until a rate holds for long', async () => {
    const { found, attempts } = await search(1_000, 2_500, 2_000);
    expect(found).toBeLessThanOrEqual(2_000);
    expect(found).toBeGreaterThan(2_000 / 1.05);
    expect(attempts.at(-1)).toMatchObject({ rate: found, whole: true });
  });

  it('gives up when nothing gets through', async () => {
    expect((await search(1_000, 0)).found).toBeUndefined();
    expect((await search(1_000, 2_500, 0)).found).toBeUndefined();
  });
});
