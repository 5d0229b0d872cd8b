import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { LimitGuard } from '../limits.ts';
import { HistoryBudget } from './history-budget.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** 1,000 bytes a second, 2,000 at once. Each read brings `bytes`. */
function setUp(bytes: number, enforcesRates = true) {
  const told: string[] = [];
  const beyond: string[] = [];
  const guard = new LimitGuard(enforcesRates, (limit, isEnforced) =>
    beyond.push(`${limit} ${isEnforced}`),
  );
  const read = (channel: string): boolean => {
    if (!budget.allows(channel, performance.now())) return false;
    const expected = budget.beginRead();
    budget.charge(bytes);
    budget.endRead(expected, bytes);
    told.push(channel);
    return true;
  };
  const budget: HistoryBudget<string> = new HistoryBudget(
    { perSecond: 1_000, burst: 2_000 },
    guard,
    { onReady: (channel) => read(channel), onLate: (channel) => told.push(`late ${channel}`) },
  );
  onTestFinished(() => budget.stop());
  return { budget, told, beyond, read };
}

it('lets reads beyond the burst and the rate wait, in their order', () => {
  const { told, beyond, read } = setUp(1_000);
  for (const channel of ['a', 'b', 'c', 'd', 'e']) read(channel);
  expect(told).toEqual(['a', 'b', 'c']);
  vi.advanceTimersByTime(900);
  expect(told).toEqual(['a', 'b', 'c']);
  vi.advanceTimersByTime(200);
  expect(told).toEqual(['a', 'b', 'c', 'd']);
  read('f');
  vi.advanceTimersByTime(2_000);
  expect(told).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  expect(beyond).toEqual(Array(3).fill('history_reads true'));
});

it('lets no channel wait for ever: one that waits for too long is reported', () => {
  const { told, read } = setUp(8_000);
  for (const channel of ['a', 'b']) read(channel);
  vi.advanceTimersByTime(4_900);
  expect(told).toEqual(['a']);
  vi.advanceTimersByTime(200);
  expect(told).toEqual(['a', 'late b']);
});

it('lets a channel that was allowed and could not be read keep its place', () => {
  const askedAt = performance.now();
  const told: string[] = [];
  const guard = new LimitGuard(true, () => undefined);
  const budget: HistoryBudget<string> = new HistoryBudget(
    { perSecond: 1_000, burst: 1_000 },
    guard,
    {
      onReady(channel) {
        told.push(`ready ${channel}`);
        // Something else was read in its place, and it is its turn a moment later.
        budget.charge(2_000);
        setTimeout(() => budget.allows(channel, askedAt), 1);
      },
      onLate: (channel) => told.push(`late ${channel}`),
    },
  );
  onTestFinished(() => budget.stop());
  budget.charge(2_000);
  budget.allows('a', askedAt);
  vi.advanceTimersByTime(4_900);
  expect(told.at(-1)).toBe('ready a');
  vi.advanceTimersByTime(200);
  expect(told.at(-1)).toBe('late a');
});

it('counts reads under way as large as the latest ones were', () => {
  const { budget, read } = setUp(1_500);
  read('a');
  expect(budget.allows('b', 0)).toBe(true);
  budget.beginRead();
  expect(budget.allows('c', 0), '500 are left, and b is expected to take 1,500').toBe(false);
});

it('forgets a channel that is gone', () => {
  const { budget, told, read } = setUp(3_000);
  for (const channel of ['a', 'b']) read(channel);
  budget.forget('b');
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual(['a']);
});

it('control: only counts where limits are only reported', () => {
  const { told, beyond, read } = setUp(3_000, false);
  for (const channel of ['a', 'b', 'c']) read(channel);
  expect(told).toEqual(['a', 'b', 'c']);
  expect(beyond).toEqual(Array(2).fill('history_reads false'));
});
