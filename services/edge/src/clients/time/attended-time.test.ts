import { expect, it } from 'vitest';
import { AttendedTime, BEAT_MS, BEATS_PER_SECOND } from './attended-time.ts';

it('counts beats, and carries the rest of a beat over', () => {
  const time = new AttendedTime(1_000);
  const passed = [1_000 + BEAT_MS - 1, 1_000 + BEAT_MS, 1_000 + 4.5 * BEAT_MS, 1_000 + 5 * BEAT_MS];
  const seen = passed.map((now) => [time.advance(now), time.beat]);
  expect(seen).toEqual([
    [false, 0],
    [true, 1],
    [true, 4],
    [true, 5],
  ]);
});

it('counts a stall of this process as one second, however long it was', () => {
  const time = new AttendedTime(0);
  time.advance(60_000);
  expect(time.beat).toBe(BEATS_PER_SECOND);
  time.advance(60_000 + BEAT_MS);
  expect(time.beat).toBe(BEATS_PER_SECOND + 1);
});
