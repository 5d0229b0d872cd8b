import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { rightsTo } from '../../auth/rights.ts';
import { type FakeClient, FanOutUnderTest } from '../testing/fan-out-under-test.ts';

const CLIENTS = 10_000;
const LIFE_MS = 120_000;
const SECOND = 1_000;

/** Long enough for the latest close: the grace is 30 s at most. */
const WATCHED_MS = LIFE_MS + 40_000;

/** Longer than the test, in beats and in seconds. */
const NEVER = 1_000_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('tells and closes 10,000 clients whose tokens end together: no second has twice the mean', async () => {
  const rights = rightsTo(() => true);
  const expiresAt = Date.now() + LIFE_MS;
  using under = new FanOutUnderTest({
    tokens: {
      verify: async (subject) => ({
        ...{ subject, issuedAt: 0, expiresAt, rights },
        tokenId: undefined,
      }),
    },
    liveness: { pingAfterBeats: NEVER, deadAfterBeats: NEVER },
    silentSeconds: NEVER,
    logBytes: 0,
  });
  const clients = Array.from({ length: CLIENTS }, () => under.client());
  for (const [i, client] of clients.entries()) client.request({ type: 'auth', token: `u${i}` });
  const startedAt = performance.now();
  await vi.advanceTimersByTimeAsync(WATCHED_MS);
  const closes = perSecond(clients, startedAt);
  expect(clients.every(({ webSocket }) => webSocket.closes[0]?.code === 4402)).toBe(true);
  const counts = [...closes.values()];
  expect(Math.min(...closes.keys())).toBeGreaterThanOrEqual(LIFE_MS / SECOND);
  expect(counts.length).toBeGreaterThanOrEqual(25);
  expect(Math.max(...counts)).toBeLessThanOrEqual((2 * CLIENTS) / counts.length);
});

function perSecond(clients: readonly FakeClient[], startedAt: number): Map<number, number> {
  const closes = new Map<number, number>();
  for (const { webSocket } of clients) {
    const second = Math.floor(((webSocket.closedAt ?? 0) - startedAt) / SECOND);
    closes.set(second, (closes.get(second) ?? 0) + 1);
  }
  return closes;
}
