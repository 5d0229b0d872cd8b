import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Flusher, roundsApart } from './flush-scheduler.ts';

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setImmediate', 'setTimeout', 'clearImmediate', 'clearTimeout', 'performance'],
  });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A thread has a core to itself. */
const ONE_EACH = roundsApart(1, 1);

/** A flusher whose rounds take so long. */
function timed(intervalMs: number, roundMs: number, apart = ONE_EACH) {
  const flushedAt: number[] = [];
  const flusher = new Flusher(intervalMs, apart, () => {
    flushedAt.push(performance.now());
    vi.advanceTimersByTime(roundMs);
    return false;
  });
  return { flusher, flushedAt };
}

describe('Flusher', () => {
  it('flushes once a turn, however often it is asked to', () => {
    const flush = vi.fn(() => false);
    const flusher = new Flusher(0, ONE_EACH, flush);
    flusher.schedule();
    flusher.schedule();
    expect(flusher.isScheduled).toBe(true);
    vi.advanceTimersByTime(0);
    expect(flush).toHaveBeenCalledTimes(1);
    expect(flusher.isScheduled).toBe(false);
  });

  it('delays nothing while rounds are short, however many there are', () => {
    const { flusher, flushedAt } = timed(20, 0.2);
    for (let i = 0; i < 50; i += 1) {
      const askedAt = performance.now();
      flusher.schedule();
      vi.advanceTimersByTime(1);
      expect(flushedAt.at(-1)! - askedAt).toBeLessThanOrEqual(1);
    }
  });

  it.each([
    ['a pause as long as the round', 20, 6, 12],
    ['no more than the interval from start to start', 20, 15, 20],
    ['none when a round takes as long as the interval', 20, 25, 25],
    ['none when it is 0', 0, 6, 6],
    ['three times that where two threads share a core', 40, 6, 24, roundsApart(2, 1)],
    ['no more than that where there are more cores', 20, 6, 12, roundsApart(2, 4)],
  ])('makes %s', (_, intervalMs, roundMs, apartMs, rounds = ONE_EACH) => {
    const { flusher, flushedAt } = timed(intervalMs, roundMs, rounds);
    while (flushedAt.length < 10) {
      flusher.schedule();
      vi.advanceTimersByTime(1);
    }
    const apart = flushedAt.slice(1).map((at, i) => at - flushedAt[i]!);
    for (const ms of apart) {
      expect(ms).toBeGreaterThanOrEqual(apartMs - 1);
      expect(ms).toBeLessThanOrEqual(apartMs + 1);
    }
  });

  it('may be asked again while it flushes', () => {
    let left = 3;
    const flusher: Flusher = new Flusher(0, ONE_EACH, () => {
      left -= 1;
      if (left > 0) flusher.schedule();
      return false;
    });
    flusher.schedule();
    vi.runAllTimers();
    expect(left).toBe(0);
  });

  it('goes on in the next turn with what it has not finished, interval or not', () => {
    const flushedAt: number[] = [];
    const flusher: Flusher = new Flusher(50, ONE_EACH, () => {
      flushedAt.push(performance.now());
      vi.advanceTimersByTime(5);
      return flushedAt.length < 3;
    });
    flusher.schedule();
    vi.advanceTimersByTime(3);
    expect(flushedAt).toHaveLength(3);
    expect(flushedAt[2]! - flushedAt[0]!).toBeLessThan(13);
  });

  it('flushes nothing after it was stopped', () => {
    const flush = vi.fn(() => false);
    for (const intervalMs of [0, 5]) {
      const flusher = new Flusher(intervalMs, ONE_EACH, flush);
      flusher.schedule();
      flusher.stop();
    }
    vi.runAllTimers();
    expect(flush).not.toHaveBeenCalled();
  });
});
