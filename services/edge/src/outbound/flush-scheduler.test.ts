import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FlushScheduler, roundSpacing } from './flush-scheduler.ts';

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setImmediate', 'setTimeout', 'clearImmediate', 'clearTimeout', 'performance'],
  });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A thread has a core to itself. */
const ONE_EACH = roundSpacing(1, 1);

/** A scheduler whose rounds take `roundMs`. */
function timed(intervalMs: number, roundMs: number, apart = ONE_EACH) {
  const flushedAt: number[] = [];
  const scheduler = new FlushScheduler(intervalMs, apart, () => {
    flushedAt.push(performance.now());
    vi.advanceTimersByTime(roundMs);
    return false;
  });
  return { scheduler, flushedAt };
}

describe('FlushScheduler', () => {
  it('flushes once a turn, however often it is asked to', () => {
    const flush = vi.fn(() => false);
    const scheduler = new FlushScheduler(0, ONE_EACH, flush);
    scheduler.schedule();
    scheduler.schedule();
    expect(scheduler.isScheduled).toBe(true);
    vi.advanceTimersByTime(0);
    expect(flush).toHaveBeenCalledTimes(1);
    expect(scheduler.isScheduled).toBe(false);
  });

  it('delays nothing while rounds are short, however many there are', () => {
    const { scheduler, flushedAt } = timed(20, 0.2);
    for (let i = 0; i < 50; i += 1) {
      const askedAt = performance.now();
      scheduler.schedule();
      vi.advanceTimersByTime(1);
      expect(flushedAt.at(-1)! - askedAt).toBeLessThanOrEqual(1);
    }
  });

  it.each([
    ['a pause as long as the round', 20, 6, 12],
    ['no more than the interval from start to start', 20, 15, 20],
    ['none when a round takes as long as the interval', 20, 25, 25],
    ['none when it is 0', 0, 6, 6],
    ['three times that where two threads share a core', 40, 6, 24, roundSpacing(2, 1)],
    ['no more than that where there are more cores', 20, 6, 12, roundSpacing(2, 4)],
  ])('makes %s', (_, intervalMs, roundMs, apartMs, rounds = ONE_EACH) => {
    const { scheduler, flushedAt } = timed(intervalMs, roundMs, rounds);
    while (flushedAt.length < 10) {
      scheduler.schedule();
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
    const scheduler: FlushScheduler = new FlushScheduler(0, ONE_EACH, () => {
      left -= 1;
      if (left > 0) scheduler.schedule();
      return false;
    });
    scheduler.schedule();
    vi.runAllTimers();
    expect(left).toBe(0);
  });

  it('continues an unfinished round in the next turn, whatever the interval', () => {
    const flushedAt: number[] = [];
    const scheduler: FlushScheduler = new FlushScheduler(50, ONE_EACH, () => {
      flushedAt.push(performance.now());
      vi.advanceTimersByTime(5);
      return flushedAt.length < 3;
    });
    scheduler.schedule();
    vi.advanceTimersByTime(3);
    expect(flushedAt).toHaveLength(3);
    expect(flushedAt[2]! - flushedAt[0]!).toBeLessThan(13);
  });

  it('flushes nothing after it was stopped', () => {
    const flush = vi.fn(() => false);
    for (const intervalMs of [0, 5]) {
      const scheduler = new FlushScheduler(intervalMs, ONE_EACH, flush);
      scheduler.schedule();
      scheduler.stop();
    }
    vi.runAllTimers();
    expect(flush).not.toHaveBeenCalled();
  });
});
