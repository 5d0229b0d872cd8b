import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { until } from '../clients/testing/deadline.ts';
import { createTestConnection, type TestConnection } from '../clients/testing/test-connection.ts';
import { planDeparture, sendAway, waitUntilGone } from './drain.ts';

const WINDOW_MS = 20_000;
const SHORT_WINDOW_MS = 400;
const HOURS_MS = 10_000_000;

describe('planDeparture', () => {
  it('gives everyone a turn within the window, and time between notice and deadline', () => {
    const sizes = fc.record({
      count: fc.integer({ min: 1, max: 200 }),
      windowMs: fc.integer({ min: 0, max: 600_000 }),
    });
    fc.assert(
      fc.property(sizes, ({ count, windowMs }) => {
        const plan = planAll(count, windowMs);
        let previousMs = 0;
        for (const { afterMs, deadlineMs } of plan) {
          expect(afterMs).toBeGreaterThanOrEqual(previousMs);
          expect(deadlineMs - afterMs).toBe(Math.floor(windowMs / 2));
          expect(deadlineMs).toBeLessThanOrEqual(windowMs);
          previousMs = afterMs;
        }
      }),
    );
  });

  it.each([10, 5_000])('closes %i clients in no burst above twice the mean', (count) => {
    const seconds = WINDOW_MS / 1_000;
    const closes = Array<number>(seconds).fill(0);
    for (const { deadlineMs } of planAll(count, WINDOW_MS)) {
      const second = Math.floor(deadlineMs / 1_000);
      closes[second] = (closes[second] as number) + 1;
    }
    expect(Math.max(...closes)).toBeLessThanOrEqual(Math.ceil((2 * count) / seconds));
  });
});

describe('sendAway', () => {
  it('tells each client when to go and until when it is served, and closes none before', async () => {
    const { clients, connections } = someClients(8);
    const plan = planAll(8, SHORT_WINDOW_MS);
    const startedAt = performance.now();
    const done = sendAway(connections, SHORT_WINDOW_MS, 'draining', new AbortController().signal);
    await until(() => clients.every(({ sent }) => sent().length > 0), 'the notices');
    expect(clients.map(({ sent }) => sent())).toEqual(
      plan.map((departure) => [{ type: 'reconnect', ...departure, reason: 'draining' }]),
    );
    await done;
    clients.forEach(({ webSocket }, i) => {
      expect(webSocket.closes).toEqual([{ code: 1012, reason: 'draining' }]);
      const servedMs = (webSocket.closedAt as number) - startedAt;
      expect(servedMs).toBeGreaterThanOrEqual(plan[i]?.deadlineMs as number);
    });
  });

  it('delivers what is queued before it closes', async () => {
    const { clients, connections } = someClients(1);
    const client = clients[0] as TestConnection;
    client.sink.stalled = true;
    client.connection.send({ type: 'pong', id: 1, serverTime: 0 });
    await sendAway(connections, SHORT_WINDOW_MS, 'draining', new AbortController().signal);
    expect(client.webSocket.closes).toEqual([]);
    client.sink.drain();
    expect(client.sent().map(({ type }) => type)).toEqual(['pong', 'reconnect']);
    expect(client.webSocket.closes).toEqual([{ code: 1012, reason: 'draining' }]);
  });

  it('is over as soon as everyone has left', async () => {
    const { connections } = someClients(3);
    const done = sendAway(connections, HOURS_MS, 'draining', new AbortController().signal);
    connections.clear();
    await done;
  });

  it('has nothing to do without clients', async () => {
    await sendAway(new Set(), HOURS_MS, 'draining', new AbortController().signal);
  });

  it('closes everyone at once in a hurry', async () => {
    const { clients, connections } = someClients(10);
    const hurry = new AbortController();
    const done = sendAway(connections, HOURS_MS, 'draining', hurry.signal);
    expect(clients.flatMap(({ webSocket }) => webSocket.closes)).toEqual([]);
    hurry.abort();
    await done;
    expect(clients.flatMap(({ webSocket }) => webSocket.closes)).toHaveLength(10);
  });

  it('copes with clients that leave on their own in between', async () => {
    const { clients, connections } = someClients(3);
    const done = sendAway(connections, SHORT_WINDOW_MS, 'draining', new AbortController().signal);
    const leaver = clients[1] as TestConnection;
    leaver.webSocket.end(1000);
    connections.delete(leaver.connection);
    await done;
    expect(clients.map(({ webSocket }) => webSocket.closes.length)).toEqual([1, 0, 1]);
  });
});

describe('waitUntilGone', () => {
  it('returns as soon as everyone is gone, and says so', async () => {
    const { connections } = someClients(2);
    const gone = waitUntilGone(connections, HOURS_MS);
    connections.clear();
    expect(await gone).toBe(true);
  });

  it('returns at the deadline, and says that someone is left', async () => {
    const { connections } = someClients(2);
    expect(await waitUntilGone(connections, 100)).toBe(false);
  });
});

function planAll(count: number, windowMs: number) {
  return Array.from({ length: count }, (_, i) => planDeparture(i, count, windowMs));
}

function someClients(count: number) {
  const clients = Array.from({ length: count }, () => createTestConnection());
  return { clients, connections: new Set(clients.map(({ connection }) => connection)) };
}
