import { describe, expect, it } from 'vitest';
import { tellingOf } from './shortfall.ts';

describe('tellingOf', () => {
  it.each([
    ['no gap', { gaps: 0, unnumberedGaps: 0, lost: 0 }, 'untold'],
    ['gaps that add up', { gaps: 2, unnumberedGaps: 0, lost: 10 }, 'exact'],
    ['a gap of less than it misses', { gaps: 1, unnumberedGaps: 0, lost: 9 }, 'under'],
    ['a gap of nothing', { gaps: 1, unnumberedGaps: 0, lost: 0 }, 'under'],
    ['a gap without a number', { gaps: 1, unnumberedGaps: 1, lost: 0 }, 'loose'],
    ['one of less and one without a number', { gaps: 2, unnumberedGaps: 1, lost: 9 }, 'loose'],
    ['a gap of more than it misses', { gaps: 1, unnumberedGaps: 0, lost: 11 }, 'loose'],
  ] as const)('of ten that were missed and %s', (_case, told, telling) => {
    expect(tellingOf(10, told)).toBe(telling);
  });
});
