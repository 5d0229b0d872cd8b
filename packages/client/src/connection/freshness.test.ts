import { expect, it } from 'vitest';
import { FakeRuntime } from '../testing/fake-runtime.ts';
import { Freshness } from './freshness.ts';

it('believes the clock that was asked the shortest way', () => {
  const runtime = new FakeRuntime();
  const freshness = new Freshness(runtime);
  expect(freshness.lagOf(runtime.now())).toBeUndefined();
  freshness.measured(runtime.now() + 1_100, 400);
  freshness.measured(runtime.now() + 1_000, 10);
  expect(freshness.stats()).toMatchObject({ rttMs: 10, clockOffsetMs: 1_005 });
  expect(freshness.lagOf(runtime.now())).toBe(1_005);
  expect(freshness.lagOf(runtime.now() + 9_000)).toBe(0);
});

it('has percentiles of the latest publications', () => {
  const runtime = new FakeRuntime();
  const freshness = new Freshness(runtime);
  freshness.measured(runtime.now(), 0);
  for (let ms = 1; ms <= 1_000; ms += 1) freshness.lagOf(runtime.now() - ms);
  expect(freshness.stats().lagMs).toEqual({ p50: 873, p99: 998 });
});
