import { expect, it } from 'vitest';
import type { Gap, Publication } from '../types.ts';
import { Tail } from './tail.ts';

function publication(offset: number): Publication<unknown> {
  return { kind: 'publication', channel: 'c', data: 0, ts: 0, replayed: false, epoch: 'e', offset };
}

const GAP: Gap = { kind: 'gap', channel: 'c', epoch: 'e', from: 3, to: 4, lost: 2, reason: 'slow' };

function short(tail: Tail, count: number): unknown[] {
  return tail.last(count).map(({ item }) => (item.kind === 'gap' ? 'gap' : item.offset));
}

it('has the latest publications, and the gaps between them', () => {
  const tail = new Tail();
  for (const offset of [1, 2]) tail.add(publication(offset), 10);
  tail.add(GAP);
  tail.add(publication(5), 10);
  expect(short(tail, 1)).toEqual([5]);
  expect(short(tail, 2)).toEqual([2, 'gap', 5]);
  expect(short(tail, 9)).toEqual([1, 2, 'gap', 5]);
  expect(short(tail, 0)).toEqual([]);
  tail.clear();
  expect(short(tail, 9)).toEqual([]);
});

it('is bounded in publications and in bytes', () => {
  const tail = new Tail();
  for (let offset = 1; offset <= 1_500; offset += 1) tail.add(publication(offset), 10);
  expect(short(tail, 5_000)).toHaveLength(1_000);
  tail.add(publication(1_501), 512 * 1024 - 5);
  expect(short(tail, 5_000)).toEqual([1_501]);
});
