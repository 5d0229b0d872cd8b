import { describe, expect, it } from 'vitest';
import type { Trial } from '../arena/arena.ts';
import { describeSafety, type SafetyResult, type SafetyRun, safetyFailures } from './safety.ts';
import { SPREAD, subjectOf, USUAL_HISTORY } from './subjects.ts';

/** A run of 10,000 publications that are 500,000 deliveries. */
function run(cpuMicrosPerDelivery: number, calls: Readonly<Record<string, number>>): SafetyRun {
  const latency = { p50: 2, p90: 3, p99: 4, p999: 5, max: 6, samples: 1 };
  const trial = {
    ...{ whole: true, published: 10_000, received: 500_000 },
    ...{ cpuMicrosPerDelivery, latency, serverCore: 0.4, loadCore: 0.3 },
  } as Trial;
  return { trial, redis: { seconds: 10, cpuSeconds: 0.5, calls } };
}

const HELD = { median: 1.02, low: 1.01, high: 1.06, confidence: 0.97 };

function result(changes: Partial<SafetyResult> = {}): SafetyResult {
  return {
    plan: {
      ...{ edge: subjectOf('edge'), shape: SPREAD, sequenced: USUAL_HISTORY },
      ...{ publicationsPerSecond: 1_000, pairs: 3, seconds: 10, warmUpSeconds: 3 },
    },
    script: { label: 'script', runs: [4, 6, 5].map((cpu) => run(cpu, { evalsha: 10_000 })) },
    plain: { label: 'PUBLISH', runs: [3, 3, 3].map((cpu) => run(cpu, { publish: 10_000 })) },
    ...{ cpuPerDelivery: HELD, p99: HELD, ...changes },
  };
}

describe('describeSafety', () => {
  it('shows medians of both ways, and the highest number of positions that a run read', () => {
    const lines = describeSafety(result()).split('\n');
    const rowOf = (name: string) =>
      lines
        .find((line) => line.startsWith(`${name}  `))
        ?.trim()
        .split(/ {2,}/);
    expect(rowOf('script')).toEqual(['script', '3 of 3', '5', '2', '4', '0', '50', '40 %', '30 %']);
    expect(rowOf('PUBLISH')?.[2]).toBe('3');
    expect(lines).toContain('CPU per delivery, script / PUBLISH: 1.020 (1.010 to 1.060, 97.0 %)');
  });
});

describe('safetyFailures', () => {
  it('is empty if both bars are met and no position was read', () => {
    expect(safetyFailures(result())).toEqual([]);
  });

  it.each([
    ['CPU', { cpuPerDelivery: { ...HELD, low: 1.051 } }, /^verdict {2}CPU per delivery.*FAILED/],
    ['the tail of the latency', { p99: { ...HELD, low: 1.11 } }, /^verdict {2}p99.*FAILED/],
    [
      'a position that was read while publications flowed',
      { script: { label: 'script', runs: [run(5, {}), run(5, {}), run(5, { getrange: 1 })] } },
      /^verdict {2}positions read.*1, FAILED/,
    ],
  ])('names %s', (_, changes, line) => {
    expect(safetyFailures(result(changes))).toEqual([expect.stringMatching(line)]);
  });
});
