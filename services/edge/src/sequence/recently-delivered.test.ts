import { describe, expect, it } from 'vitest';
import type { HistoryEntry } from './message.ts';
import { PublicationFingerprints, RecentlyDelivered } from './recently-delivered.ts';

const NOW = 1_795_416_898_000;

function entry(offset: number, text = String(offset), publishedAt = NOW + offset): HistoryEntry {
  return { offset, publishedAt, payload: Buffer.from(text) };
}

function deliveredOf(from: number, to: number): RecentlyDelivered {
  const recent = new RecentlyDelivered();
  recent.reset(NOW);
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

  it('compares times where it remembers no entry, and delivers the last two seconds again rather than never', () => {
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
    recent.reset(NOW + 60_000, [entry(4), entry(5)]);
    expect(recent.differsFrom(entry(5, 'another'))).toBe(true);
    expect(recent.differsFrom(entry(9, 'another'))).toBe(false);
    expect(recent.isOlderThan(entry(9)), 'nothing of it was delivered').toBe(false);
  });
});

describe('fingerprints of publications', () => {
  it('tell the same publication from another under its offset, by payload and by time', () => {
    const prints = new PublicationFingerprints();
    for (let offset = 1; offset <= 20; offset += 1) prints.remember(entry(offset));
    expect(prints.has(entry(20))).toBe(true);
    expect(prints.has(entry(7))).toBe(true);
    expect(prints.has(entry(7, 'another'))).toBe(false);
    expect(prints.has({ ...entry(7), publishedAt: 1 })).toBe(false);
    expect(prints.has(entry(21))).toBeUndefined();
    expect(prints.has(entry(0))).toBeUndefined();
  });

  it('tell short payloads apart that were published within some ms', () => {
    const prints = new PublicationFingerprints();
    prints.remember({ offset: 1, publishedAt: 1_000_000, payload: Buffer.from('0') });
    for (let ms = 0; ms < 64; ms += 1) {
      for (let digit = 1; digit <= 9; digit += 1) {
        const another = {
          offset: 1,
          publishedAt: 1_000_000 + ms,
          payload: Buffer.from(`${digit}`),
        };
        expect(prints.has(another), `${digit} after ${ms} ms`).toBe(false);
      }
    }
  });

  it('go back 256 publications, however many there were', () => {
    const prints = new PublicationFingerprints();
    for (let offset = 1; offset <= 1_000; offset += 1) prints.remember(entry(offset));
    expect(prints.has(entry(745))).toBe(true);
    expect(prints.has(entry(744))).toBeUndefined();
  });

  it('do not reach over a hole, nor over a clear', () => {
    const prints = new PublicationFingerprints();
    prints.remember(entry(1));
    prints.remember(entry(3));
    expect(prints.has(entry(1))).toBeUndefined();
    expect(prints.has(entry(3))).toBe(true);
    prints.clear();
    expect(prints.has(entry(3))).toBeUndefined();
  });
});
