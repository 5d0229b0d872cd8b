import { expect, it } from 'vitest';
import { toColumns, toRows } from './columns.ts';

it('keeps rows, over JSON, to three digits behind the point', () => {
  const rows = [
    { node: 'a', rate: 1.23456, p99Ms: undefined },
    { node: 'b', rate: 2, p99Ms: 7 },
  ];
  const columns = JSON.parse(JSON.stringify(toColumns(rows)));
  expect(columns.node).toEqual(['a', 'b']);
  expect(toRows(columns)).toEqual([
    { node: 'a', rate: 1.235 },
    { node: 'b', rate: 2, p99Ms: 7 },
  ]);
  expect(toRows(toColumns([]))).toEqual([]);
});
