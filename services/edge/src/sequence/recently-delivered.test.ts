import { describe, expect, it } from 'vitest';
import type { HistoryEntry } from './message.ts';
import { RecentlyDelivered } from './recently-delivered.ts';

const NOW = 1_795_416_898_000;

function entry(offset: number, text = String(offset), publishedAt = NOW + offset): HistoryEntry {
  return { offset, publishedAt, payload: Buffer.from(text) };
}

function deliveredOf(from: number, to: number): RecentlyDelivered {
  const recent = new RecentlyDelivered();
  recent.begin(NOW);
  for (let offset = from; offset <= to; offset += 1) recent.remember(entry(offset));
  return recent;
}

describe('RecentlyDelivered', () => {
  it('finds what was delivered in a history up to the last entry that is the same', () => {
    const held = [entry(4), entry(5), entry(6, 'another'), entry(7, 'another')];
    expect(deliveredOf(3, 9).partIn(held)).toEqual({ offset: 5, isCertain: true });
  });

  it('finds nothing behind the first entry that differs, although a later one is the same', () => {
    const held = [entry(4), entry(5, 'another'), entry(6)];
    expect(deliveredOf(3, 6).partIn(held)).toEqual({ offset: 4, isCertain: true });
  });

  it('goes by the time where none is remembered: within two seconds, rather twice than never', () => {
    const held = [entry(20, 'x', NOW - 5_000), entry(21, 'x', NOW - 1_000), entry(22)];
    expect(deliveredOf(1, 3).partIn(held)).toEqual({ offset: 20, isCertain: false });
    expect(deliveredOf(1, 3).partIn(held.slice(1))).toEqual({ offset: 0, isCertain: false });
    expect(new RecentlyDelivered().partIn([])).toEqual({ offset: 0, isCertain: false });
  });

  it('tells another entry under an offset, and a later one where the offset is not remembered', () => {
    const recent = deliveredOf(3, 9);
    expect(recent.differsFrom(entry(5))).toBe(false);
    expect(recent.differsFrom(entry(5, 'another'))).toBe(true);
    expect(recent.differsFrom(entry(1))).toBe(false);
    expect(recent.differsFrom(entry(1, '1', NOW + 1_000))).toBe(true);
  });

  it('compares, in a new epoch, with what that took over', () => {
    const recent = deliveredOf(3, 9);
    recent.begin(NOW + 60_000, [entry(4), entry(5)]);
    expect(recent.differsFrom(entry(5, 'another'))).toBe(true);
    expect(recent.differsFrom(entry(9, 'another'))).toBe(false);
    expect(recent.isOlderThan(entry(9)), 'nothing of it was delivered').toBe(false);
  });
});
