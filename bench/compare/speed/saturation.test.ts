import { describe, expect, it } from 'vitest';
import type { Trial } from '../arena/arena.ts';
import { summarizeRatios } from '../figures/ratio.ts';
import { AT_MOST_SLOWER, judge } from '../figures/verdict.ts';
import {
  describeSaturation,
  FINE_SEARCH,
  type SaturationResult,
  saturationFailures,
} from './saturation.ts';
import { CROWD, subjectOf } from './subjects.ts';

const TRIAL = { deliveriesPerSecond: 6e6, cpuMicrosPerDelivery: 0.16, loadCore: 0.8 } as Trial;

/** Against another checkout, over ten pairs, with these slowdowns. */
function result(slowdown: number): SaturationResult {
  const opponent = 'edge@/base';
  const slowdowns = summarizeRatios(Array(10).fill(slowdown));
  return {
    ...{ shape: CROWD, base: subjectOf('edge'), opponents: [subjectOf(opponent)] },
    ...{ pairs: 10, seconds: 8, search: FINE_SEARCH },
    sides: [{ label: 'edge', searches: [{ subject: 'edge', trial: TRIAL }] }],
    ratios: [
      {
        opponent,
        deliveries: summarizeRatios(Array(10).fill(1 / slowdown)),
        slowdown: slowdowns,
        verdicts: [judge('deliveries/s', slowdowns, AT_MOST_SLOWER)],
      },
    ],
  };
}

describe('saturation against another checkout', () => {
  it('shows the ratio by which our edge is slower, and its verdict', () => {
    const slow = result(1.05);
    const text = describeSaturation(slow);
    expect(text).toContain(
      'deliveries/s, edge@/base / edge (above 1 edge is slower): 1.050 (1.050 to 1.050',
    );
    expect(text).toMatch(/at most 2 % slower: FAILED/);
    expect(saturationFailures(slow)).toHaveLength(1);
    expect(describeSaturation(result(0.9))).toMatch(/at most 2 % slower: passed/);
    expect(saturationFailures(result(0.9))).toEqual([]);
  });
});
