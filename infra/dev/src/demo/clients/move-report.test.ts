import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { MoveReport } from './move-report.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('says in one line what the clients of one node got back, and what they lost', () => {
  const totals = { recovered: 10, missing: 1 };
  const said: string[] = [];
  const report = new MoveReport(
    () => ({ ...totals }),
    (tone, text) => said.push(`${tone}: ${text}`),
  );
  report.take({ to: 'edge-2', awayMs: 300 });
  report.take({ to: 'edge-2', awayMs: 740 });
  totals.recovered = 38;
  vi.advanceTimersByTime(1_500);
  expect(said).toEqual(['good: 2 clients to edge-2 in 0.7 s: recovered 28, lost 0']);
  report.take({ to: 'edge-1', awayMs: undefined });
  totals.missing = 3;
  vi.advanceTimersByTime(1_500);
  expect(said.at(-1)).toBe('bad: 1 client to edge-1: recovered 0, lost 2');
  report.take({ to: 'edge-2', awayMs: undefined });
  vi.advanceTimersByTime(1_500);
  expect(said.at(-1)).toBe('good: 1 client to edge-2: nothing missed');
  report.take({ to: 'edge-1', awayMs: undefined });
  report[Symbol.dispose]();
  vi.advanceTimersByTime(1_500);
  expect(said).toHaveLength(3);
});
