import { describe, expect, it } from 'vitest';
import {
  LINK_PROVEN_MS,
  LOST_AGAIN_MAX_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  TURNED_AWAY_MAX_MS,
} from '../redis-limits.ts';
import { Reconnection } from './reconnection.ts';

const LATEST = (): number => 1;
const EARLIEST = (): number => 0;

describe('Reconnection', () => {
  it.each([
    [false, 0, RECONNECT_MAX_MS],
    [true, 0, TURNED_AWAY_MAX_MS],
    [true, 1, LOST_AGAIN_MAX_MS],
  ])(
    'begins short, doubles, is capped and spread over the upper half (answered: %s, up for %s ms)',
    (answered, upMs, maxMs) => {
      const latest = new Reconnection(LATEST);
      const earliest = new Reconnection(EARLIEST);
      for (let attempt = 0; attempt < 2_000; attempt += 1) {
        const ceiling = Math.min(RECONNECT_MIN_MS * 2 ** attempt, maxMs);
        expect(latest.next(answered, upMs)).toBe(ceiling);
        expect(earliest.next(answered, upMs)).toBe(Math.round(ceiling / 2));
      }
    },
  );

  it('begins anew after a link that was up for long, not after one that was killed at once', () => {
    const reconnection = new Reconnection(LATEST);
    for (let loss = 0; loss < 10; loss += 1) reconnection.next(true, LINK_PROVEN_MS - 1);
    expect(reconnection.next(true, LINK_PROVEN_MS - 1)).toBe(LOST_AGAIN_MAX_MS);
    expect(reconnection.next(true, LINK_PROVEN_MS)).toBe(RECONNECT_MIN_MS);
  });

  it('is back soon after a Redis that was away, however long that was', () => {
    const reconnection = new Reconnection(LATEST);
    for (let attempt = 0; attempt < 1_000; attempt += 1) reconnection.next(false, 0);
    expect(reconnection.next(false, 0)).toBe(RECONNECT_MAX_MS);
    expect(reconnection.next(true, 0)).toBe(RECONNECT_MIN_MS);
  });

  it('makes at most 15 attempts in 30 s at a Redis that answers and turns it away', () => {
    for (let run = 0; run < 200; run += 1) {
      const reconnection = new Reconnection();
      let attempts = 0;
      for (let ms = reconnection.next(true, 0); ms < 30_000; ms += reconnection.next(true, 0))
        attempts += 1;
      expect(attempts).toBeLessThanOrEqual(17);
    }
    const reconnection = new Reconnection(() => 0.5);
    let attempts = 0;
    for (let ms = reconnection.next(true, 0); ms < 30_000; ms += reconnection.next(true, 0))
      attempts += 1;
    expect(attempts).toBeLessThanOrEqual(15);
  });
});
