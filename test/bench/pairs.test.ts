import { describe, expect, it } from 'vitest';
import { compare, measurementsOf, measurePairs } from './pairs.ts';

describe('measurePairs', () => {
  it('measures the base right before each opponent, and all of it again', async () => {
    const order: string[] = [];
    await measurePairs('edge', ['bun', 'ws'], 2, async (subject) => order.push(subject));
    expect(order).toEqual(['edge', 'bun', 'edge', 'ws', 'edge', 'bun', 'edge', 'ws']);
  });

  it('compares each measurement with its own partner', async () => {
    const values = [10, 5, 30, 10, 8, 2];
    const pairs = await measurePairs('edge', ['bun'], 3, async () => values.shift() ?? 0);
    expect(compare(pairs, 'bun', (value) => value)).toMatchObject({ median: 3, low: 2, high: 4 });
    expect(measurementsOf(pairs, 'edge', 'edge')).toEqual([10, 30, 8]);
    expect(measurementsOf(pairs, 'edge', 'bun')).toEqual([5, 10, 2]);
  });
});
