import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DemoActions } from './demo-actions.ts';
import { EventLog } from './event-log.ts';
import type { DemoEdge, EdgeCondition } from './nodes/demo-edge.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

function edge(name: string, condition: EdgeCondition) {
  const kill = vi.fn();
  return {
    edge: { name, condition, isReady: condition === 'ready', kill } as unknown as DemoEdge,
    kill,
  };
}

it('kills only a node whose clients have another one to go to', () => {
  const one = edge('edge-1', 'ready');
  const other = edge('edge-2', 'ready');
  const both = new DemoActions([one.edge, other.edge], {}, {}, new EventLog(() => 0));
  expect(both.kill('edge-2')).toBeUndefined();
  expect(both.kill()).toBeUndefined();
  expect([one.kill.mock.calls.length, other.kill.mock.calls.length]).toEqual([1, 1]);
  expect(both.kill('edge-3')).toContain('no edge-3');

  const alone = new DemoActions(
    [one.edge, edge('edge-2', 'down').edge],
    {},
    {},
    new EventLog(() => 0),
  );
  expect(alone.kill()).toContain('not ready yet');
  expect(alone.kill('edge-2')).toContain('edge-2 is not ready');
  expect(one.kill).toHaveBeenCalledTimes(1);
});

it('freezes Redis for a while, once at a time, and never leaves it frozen', () => {
  const signal = vi.fn();
  const actions = new DemoActions([], { signal }, {}, new EventLog(() => 0));
  expect(actions.freezeRedis()).toBeUndefined();
  expect(actions.freezeRedis()).toContain('already');
  vi.advanceTimersByTime(4_000);
  expect(signal.mock.calls).toEqual([['SIGSTOP'], ['SIGCONT']]);
  actions.freezeRedis();
  actions[Symbol.dispose]();
  expect(signal).toHaveBeenLastCalledWith('SIGCONT');
  expect(new DemoActions([], {}, {}, new EventLog(() => 0)).freezeRedis()).toContain(
    'not a process',
  );
});

it('has a burst where trades are synthetic', () => {
  const burst = vi.fn();
  expect(new DemoActions([], {}, { burst }, new EventLog(() => 0)).burst()).toBeUndefined();
  expect(burst).toHaveBeenCalledOnce();
  expect(new DemoActions([], {}, {}, new EventLog(() => 0)).burst()).toContain('Recorded');
});
