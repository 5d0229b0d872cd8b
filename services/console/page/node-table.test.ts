import { expect, it } from 'vitest';
import { legendOf, outlierTest } from './node-table.tsx';

it('marks no figure of a calm tier, however unlike the others it is', () => {
  const isOutlier = outlierTest([5, 10, 10, 20], 'above', 50);
  expect([5, 10, 20, 49].map(isOutlier)).toEqual([false, false, false, false]);
});

it('control: marks one that is far above the others and above the least', () => {
  const isOutlier = outlierTest([5, 10, 10, 100], 'above', 50);
  expect([5, 10, 100].map(isOutlier)).toEqual([false, false, true]);
});

it('marks an edge that delivers nothing while the others do', () => {
  const isOutlier = outlierTest([0, 400, 410, 420], 'both');
  expect([0, 400, 420].map(isOutlier)).toEqual([true, false, false]);
});

it('says what the marks mean, and of silent edges that their figures are not counted', () => {
  const ready = { kind: 'edge', health: 'ready' } as const;
  const silent = { kind: 'edge', health: 'silent' } as const;
  expect(legendOf([ready, silent])).toMatch(
    /◆ far .* ▲ nearly full.* last figures of 1 silent edge,/,
  );
  expect(legendOf([ready, { ...silent, kind: 'ingest' }])).not.toContain('silent');
});
