import { expect, it } from 'vitest';
import { HistoryBounds } from './history-bounds.ts';

function setUp() {
  const clock = { now: 1_000 };
  return { clock, bounds: new HistoryBounds(() => clock.now) };
}

it('keeps what it knows of an epoch, and applies none of it to another epoch', () => {
  const { bounds } = setUp();
  bounds.recordTrimmed('a', 'E', 20);
  bounds.recordTrimmed('a', 'E', 10);
  bounds.recordTooLong('a', 'E', 90);
  expect(bounds.of('a', 'E')).toEqual({ trimmedBefore: 20, tooLongBefore: 90 });
  expect(bounds.of('a', 'F')).toEqual({ trimmedBefore: 0, tooLongBefore: 0 });
  bounds.recordTrimmed('a', 'F', 5);
  expect(bounds.of('a', 'F')).toEqual({ trimmedBefore: 5, tooLongBefore: 0 });
});

it('asks again after a minute whether a history is still too long', () => {
  const { bounds, clock } = setUp();
  bounds.recordTooLong('a', 'E', 90);
  clock.now += 59_999;
  bounds.recordTrimmed('a', 'E', 20);
  expect(bounds.of('a', 'E').tooLongBefore).toBe(90);
  clock.now += 1;
  expect(bounds.of('a', 'E')).toEqual({ trimmedBefore: 20, tooLongBefore: 0 });
});

it('remembers a bounded number of channels', () => {
  const { bounds } = setUp();
  for (let i = 0; i < 5_000; i += 1) bounds.recordTrimmed(`c${i}`, 'E', 7);
  const known = Array.from({ length: 5_000 }, (_, i) => bounds.of(`c${i}`, 'E').trimmedBefore);
  expect(known.filter((before) => before === 7)).toHaveLength(1_024);
  expect(known.at(-1)).toBe(7);
});
