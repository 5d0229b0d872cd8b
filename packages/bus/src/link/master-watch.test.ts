import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SENTINEL_LOOK_INTERVAL_MS } from '../redis-limits.ts';
import type { HostAndPort } from '../redis-settings.ts';
import { MasterWatch } from './master-watch.ts';

const OTHER: HostAndPort = { host: '10.0.0.2', port: 6379 };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function watchOf(answer: () => Promise<HostAndPort | undefined>) {
  const asked = vi.fn(answer);
  const moved = vi.fn<(cause: string) => void>();
  return { watch: new MasterWatch({ findOtherMaster: asked }, moved), asked, moved };
}

describe('MasterWatch', () => {
  it('tells that the master is another one', async () => {
    const { watch, asked, moved } = watchOf(async () =>
      asked.mock.calls.length < 3 ? undefined : OTHER,
    );
    watch.start();
    await vi.advanceTimersByTimeAsync(2 * SENTINEL_LOOK_INTERVAL_MS);
    expect(moved).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(SENTINEL_LOOK_INTERVAL_MS);
    expect(moved.mock.calls).toEqual([['the Sentinels name another master: 10.0.0.2:6379']]);
    watch.end();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not ask again before there is an answer', async () => {
    const { watch, asked } = watchOf(() => new Promise(() => {}));
    watch.start();
    await vi.advanceTimersByTimeAsync(5 * SENTINEL_LOOK_INTERVAL_MS);
    expect(asked).toHaveBeenCalledOnce();
    watch.end();
  });

  it('blames no later connection for what it asked during an earlier one', async () => {
    const answer = Promise.withResolvers<HostAndPort | undefined>();
    const { watch, moved } = watchOf(() => answer.promise);
    watch.start();
    await vi.advanceTimersByTimeAsync(SENTINEL_LOOK_INTERVAL_MS);
    watch.start();
    answer.resolve(OTHER);
    await vi.advanceTimersByTimeAsync(0);
    expect(moved).not.toHaveBeenCalled();
    watch.end();
    expect(vi.getTimerCount()).toBe(0);
  });
});
