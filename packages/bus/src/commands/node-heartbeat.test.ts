import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { NodeState } from '../contract/node-state.ts';
import { LAST_STATE_DEADLINE_MS, NODE_STATE_INTERVAL_MS } from '../redis-limits.ts';
import { NodeHeartbeat } from './node-heartbeat.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A heartbeat whose states are only their numbers. */
function beat(writeNodeState: (state: NodeState) => Promise<void>): NodeHeartbeat {
  let count = 0;
  return new NodeHeartbeat(
    { writeNodeState, readConsoleWatch: vi.fn(), writeNodeAnswer: vi.fn() },
    {
      readState: () => {
        count += 1;
        return { beat: count } as NodeState;
      },
      takeEvents: () => undefined,
      eventsNotWritten: () => undefined,
    },
  );
}

it('tells the state once a second, and a last time when it stops', async () => {
  const written: number[] = [];
  const heartbeat = beat(async (state) => {
    written.push(state.beat);
  });
  await vi.advanceTimersByTimeAsync(2 * NODE_STATE_INTERVAL_MS);
  expect(written).toEqual([1, 2]);
  await heartbeat.stop();
  expect(written).toEqual([1, 2, 3]);
  await vi.advanceTimersByTimeAsync(2 * NODE_STATE_INTERVAL_MS);
  expect(written).toEqual([1, 2, 3]);
});

it.each([
  ['does not answer', () => new Promise<void>(() => undefined)],
  ['answers with an error', () => Promise.reject(new Error('no'))],
])('stops all the same when Redis %s', async (_, write) => {
  const stopped = beat(write).stop();
  await vi.advanceTimersByTimeAsync(LAST_STATE_DEADLINE_MS);
  await stopped;
  expect(vi.getTimerCount()).toBe(0);
});
