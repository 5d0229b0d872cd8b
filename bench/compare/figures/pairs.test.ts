import { describe, expect, it } from 'vitest';
import { compare, compareDifferences, measurementsOf, measurePairs } from './pairs.ts';

describe('measurePairs', () => {
  it('measures the base next to each opponent, and after it in every other round', async () => {
    const order: string[] = [];
    await measurePairs('edge', ['bun', 'ws'], 3, async (subject) => order.push(subject));
    expect(order.join(' ')).toBe('edge bun edge ws bun edge ws edge edge bun edge ws');
  });

  it('compares each measurement with its own partner', async () => {
    const values = [10, 5, 10, 30, 8, 2];
    const pairs = await measurePairs('edge', ['bun'], 3, async () => values.shift() ?? 0);
    expect(compare(pairs, 'bun', (value) => value)).toMatchObject({ median: 3, low: 2, high: 4 });
    expect(compareDifferences(pairs, 'bun', (value) => value)).toMatchObject({
      ...{ median: 6, low: 5, high: 20 },
    });
    expect(measurementsOf(pairs, 'edge', 'edge')).toEqual([10, 30, 8]);
    expect(measurementsOf(pairs, 'edge', 'bun')).toEqual([5, 10, 2]);
  });
});
