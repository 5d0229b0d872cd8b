import { describe, expect, it } from 'vitest';
import type { EdgeMemory } from '../arena/edge-memory.ts';
import { summarizeRatios } from '../figures/ratio.ts';
import { IDLE, subjectOf } from '../speed/subjects.ts';
import type { IdleDifference, IdleResult, IdleRun, IdleRuns } from './idle-memory.ts';
import { describeIdle, idleFailures } from './idle-memory-text.ts';

const CLIENTS = IDLE.clients;

function memory(pssBytes: number): EdgeMemory {
  const parts = { anonymousBytes: pssBytes / 2, heapBytes: pssBytes / 4, externalBytes: 0 };
  return { pssBytes, ...parts, settled: true };
}

/** An edge of 60 MB whose clients take `bytesEach` bytes each. */
function run(bytesEach: number): IdleRun {
  return { start: memory(60e6), connected: memory(60e6 + CLIENTS * bytesEach) };
}

function runs(untouched: number, collected: number): IdleRuns {
  return { untouched: run(untouched), collected: run(collected) };
}

const base = subjectOf('edge');
const ALONE: IdleResult = {
  ...{ shape: IDLE, base, opponents: [], servers: 1, idleSeconds: 40 },
  sides: [{ label: 'edge', runs: [runs(6_000, 5_000)] }],
  differences: [],
};

function compared(bytes: number): IdleResult {
  const opponent = subjectOf('edge@/base');
  const anonymousBytesEach = summarizeRatios(Array(10).fill(bytes));
  const differences: readonly IdleDifference[] = [
    { opponent: opponent.label, kind: 'untouched', anonymousBytesEach: summarizeRatios([900]) },
    { opponent: opponent.label, kind: 'collected', anonymousBytesEach },
  ];
  const sides = [...ALONE.sides, { label: opponent.label, runs: [runs(5_900, 4_900)] }];
  return { ...ALONE, opponents: [opponent], sides, differences };
}

describe('describeIdle', () => {
  it('shows what a client takes above the start, for each kind of edge', () => {
    const text = describeIdle(ALONE);
    expect(text).toMatch(/^left alone +60 +150 +6,000 +6,000 to 6,000 +3,000 +1,500 +0$/m);
    expect(text).toMatch(/^collected before both readings +60 +135 +5,000 /m);
    expect(text).not.toContain('verdict');
  });

  it('shows how many bytes more it takes than the edge of another checkout, and whether these are too many', () => {
    const text = describeIdle(compared(310));
    expect(text).toMatch(/^edge@\/base, left alone +60 +149 +5,900 /m);
    expect(text).toContain('edge - edge@/base, collected before both readings: 310 (310 to 310');
    expect(text).toMatch(/collected before both readings, at most 300 bytes more: FAILED/);
    expect(text).toMatch(/left alone, at most 300 bytes more: NOT TOLD/);
    expect(idleFailures(compared(310))).toHaveLength(1);
    expect(idleFailures(compared(-10))).toEqual([]);
  });

  it('reports memory that was read before it was stable', () => {
    const restless = { ...run(6_000), connected: { ...memory(150e6), settled: false } };
    const sides = [{ label: 'edge', runs: [{ ...runs(6_000, 5_000), untouched: restless }] }];
    expect(describeIdle({ ...ALONE, sides })).toContain('PSS had not come to rest in 1 readings');
  });
});
