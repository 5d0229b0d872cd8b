import { expect, it } from 'vitest';
import { ProblemTimes } from './problem-times.ts';
import type { FoundProblem } from './problems.ts';

const FULL: FoundProblem = {
  ...{ node: 'a', kind: 'saturation', severity: 'warning', alert: 'EdgeNearlyFull' },
  sentence: 'is full',
};

/** Since when each is there, at a moment. */
function sinceAt(times: ProblemTimes, at: number, ...found: readonly FoundProblem[]) {
  return times.date(found, at).map(({ since }) => since);
}

it('says of a problem when it was first seen, also after it became worse', () => {
  const times = new ProblemTimes();
  expect(sinceAt(times, 5_000, FULL)).toEqual([5_000]);
  expect(sinceAt(times, 6_000, { ...FULL, severity: 'critical' })).toEqual([5_000]);
  expect(sinceAt(times, 7_000)).toEqual([]);
  expect(sinceAt(times, 8_000, FULL)).toEqual([8_000]);
});

it('keeps problems of two nodes, and of two alerts, apart', () => {
  const times = new ProblemTimes();
  times.date([FULL], 1_000);
  const others = [{ ...FULL, node: 'b' }, { ...FULL, alert: 'EdgeCpu' }, FULL];
  expect(sinceAt(times, 2_000, ...others)).toEqual([2_000, 2_000, 1_000]);
});

it('takes what lasts already from then on, and the word of the node, unless that is in the future', () => {
  const times = new ProblemTimes();
  const silent = { ...FULL, lastsMs: 2_300 };
  expect(sinceAt(times, 9_000, silent)).toEqual([6_700]);
  expect(sinceAt(times, 10_000, { ...silent, lastsMs: 3_311 })).toEqual([6_700]);
  const told = { ...FULL, alert: 'EdgeDegraded' };
  expect(sinceAt(times, 11_000, { ...told, toldSince: 4_000 })).toEqual([4_000]);
  expect(sinceAt(times, 12_000, { ...told, toldSince: 11_500 })).toEqual([11_500]);
  expect(sinceAt(times, 13_000, { ...told, toldSince: 99_000 })).toEqual([11_500]);
});
