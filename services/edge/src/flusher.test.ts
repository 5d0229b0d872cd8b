import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Flusher } from './flusher.ts';

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setImmediate', 'setTimeout', 'clearImmediate', 'clearTimeout', 'performance'],
  });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('Flusher', () => {
  it('flushes once a turn, however often it is asked to', () => {
    const flush = vi.fn(() => false);
    const flusher = new Flusher(0, flush);
    flusher.schedule();
    flusher.schedule();
    expect(flusher.isScheduled).toBe(true);
    vi.advanceTimersByTime(0);
    expect(flush).toHaveBeenCalledTimes(1);
    expect(flusher.isScheduled).toBe(false);
  });

  it('delays nothing when it has been quiet, and keeps the interval when it has not', () => {
    const flushedAt: number[] = [];
    const flusher = new Flusher(5, () => {
      flushedAt.push(performance.now());
      return false;
    });
    const startedAt = performance.now();
    for (let i = 0; i < 20; i += 1) {
      flusher.schedule();
      vi.advanceTimersByTime(1);
    }
    expect(flushedAt[0]! - startedAt).toBeLessThanOrEqual(1);
    const pauses = flushedAt.slice(1).map((at, i) => at - flushedAt[i]!);
    expect(pauses.length).toBeGreaterThan(2);
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(5);
  });

  it('may be asked again while it flushes', () => {
    let left = 3;
    const flusher: Flusher = new Flusher(0, () => {
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
    const flusher: Flusher = new Flusher(50, () => {
      flushedAt.push(performance.now());
      return flushedAt.length < 3;
    });
    flusher.schedule();
    expect(flusher.isScheduled).toBe(true);
    vi.advanceTimersByTime(3);
    expect(flushedAt).toHaveLength(3);
    flusher.schedule();
    vi.advanceTimersByTime(40);
    expect(flushedAt, 'the interval counts from when it began').toHaveLength(3);
    vi.advanceTimersByTime(10);
    expect(flushedAt).toHaveLength(4);
  });

  it('flushes nothing after it was stopped', () => {
    const flush = vi.fn(() => false);
    for (const intervalMs of [0, 5]) {
      const flusher = new Flusher(intervalMs, flush);
      flusher.schedule();
      flusher.stop();
    }
    vi.runAllTimers();
    expect(flush).not.toHaveBeenCalled();
  });
});
