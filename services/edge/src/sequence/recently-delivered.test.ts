import { describe, expect, it } from 'vitest';
import type { HistoryEntry } from './message.ts';
import { PassedOn } from './recently-delivered.ts';

const NOW = 1_795_416_898_000;

function entry(offset: number, text = String(offset), publishedAt = NOW + offset): HistoryEntry {
  return { offset, publishedAt, payload: Buffer.from(text) };
}

function passedOn(from: number, to: number): PassedOn {
  const passed = new PassedOn();
  passed.begin(NOW);
  for (let offset = from; offset <= to; offset += 1) passed.remember(entry(offset));
  return passed;
}

describe('what was passed on', () => {
  it('is seen in a history up to the last that is the same', () => {
    const held = [entry(4), entry(5), entry(6, 'another'), entry(7, 'another')];
    expect(passedOn(3, 9).seenIn(held)).toEqual({ offset: 5, isCertain: true });
  });

  it('is not seen behind the first that is another, although a later one is the same', () => {
    const held = [entry(4), entry(5, 'another'), entry(6)];
    expect(passedOn(3, 6).seenIn(held)).toEqual({ offset: 4, isCertain: true });
  });

  it('is told by the time where none is remembered: within two seconds, rather twice than never', () => {
    const held = [entry(20, 'x', NOW - 5_000), entry(21, 'x', NOW - 1_000), entry(22)];
    expect(passedOn(1, 3).seenIn(held)).toEqual({ offset: 20, isCertain: false });
    expect(passedOn(1, 3).seenIn(held.slice(1))).toEqual({ offset: 0, isCertain: false });
    expect(new PassedOn().seenIn([])).toEqual({ offset: 0, isCertain: false });
  });

  it('differs from another under its offset, and from a later one where it is not remembered', () => {
    const passed = passedOn(3, 9);
    expect(passed.differsFrom(entry(5))).toBe(false);
    expect(passed.differsFrom(entry(5, 'another'))).toBe(true);
    expect(passed.differsFrom(entry(1))).toBe(false);
    expect(passed.differsFrom(entry(1, '1', NOW + 1_000))).toBe(true);
  });

  it('is compared, in a new epoch, with what that took over', () => {
    const passed = passedOn(3, 9);
    passed.begin(NOW + 60_000, [entry(4), entry(5)]);
    expect(passed.differsFrom(entry(5, 'another'))).toBe(true);
    expect(passed.differsFrom(entry(9, 'another'))).toBe(false);
    expect(passed.isOutrunBy(entry(9)), 'nothing of it was passed on').toBe(false);
  });
});
