import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestConnection } from '../clients/testing/test-connection.ts';
import { divideShed, readShedRequest, Shedder } from './shed.ts';

const WINDOW_MS = 200;

describe('readShedRequest', () => {
  it('reads the count and the seconds', () => {
    expect(readShedRequest(new URLSearchParams('count=300&overSeconds=60'))).toEqual({
      count: 300,
      overSeconds: 60,
    });
  });

  it.each([
    '',
    'count=3',
    'overSeconds=60',
    'count=-1&overSeconds=60',
    'count=1.5&overSeconds=60',
    'count=1&overSeconds=0',
    'count=1&overSeconds=3601',
    'count=1000001&overSeconds=60',
    'count=1e3&overSeconds=60',
  ])('refuses %j', (query) => {
    expect(readShedRequest(new URLSearchParams(query))).toBeUndefined();
  });
});

describe('divideShed', () => {
  it('gives each worker its part, and none more than it holds', () => {
    const counts = fc.array(fc.nat(10_000), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(fc.nat(200_000), counts, (count, connections) => {
        const shares = divideShed(count, connections);
        const total = connections.reduce((sum, each) => sum + each, 0);
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(Math.min(count, total));
        shares.forEach((share, i) => {
          const fair = total === 0 ? 0 : (Math.min(count, total) * connections[i]!) / total;
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(connections[i]!);
          expect(Math.abs(share - fair)).toBeLessThanOrEqual(1);
        });
      }),
    );
  });
});

describe('Shedder', () => {
  it('tells as many clients as it is asked to, closes them in time, and leaves the others alone', async () => {
    const { clients, shedder } = someClients(20);
    await shedder.shed(5, WINDOW_MS);
    const told = clients.filter(({ sent }) => sent().some(({ type }) => type === 'reconnect'));
    const closed = clients.filter(({ webSocket }) => webSocket.closes.length > 0);
    expect(told).toHaveLength(5);
    for (const { sent } of told) expect(sent()).toMatchObject([{ reason: 'rebalancing' }]);
    expect(closed).toEqual(told);
    for (const { webSocket } of closed) {
      expect(webSocket.closes).toEqual([{ code: 1012, reason: 'draining' }]);
    }
  });

  it('does not choose a client again that is leaving', async () => {
    const { clients, shedder } = someClients(10);
    await Promise.all([shedder.shed(6, WINDOW_MS), shedder.shed(6, WINDOW_MS)]);
    expect(clients.map(({ sent }) => sent().length)).toEqual(clients.map(() => 1));
  });

  it('sheds what there is when it is asked for more, and nothing from an empty node', async () => {
    const { clients, shedder } = someClients(3);
    await shedder.shed(100, WINDOW_MS);
    expect(clients.flatMap(({ webSocket }) => webSocket.closes)).toHaveLength(3);
    await someClients(0).shedder.shed(1, WINDOW_MS);
  });

  it('ends at once when its worker does', async () => {
    const { shedder } = someClients(3);
    const HOURS_MS = 10_000_000;
    const done = shedder.shed(3, HOURS_MS);
    shedder.stop();
    await done;
  });
});

function someClients(count: number) {
  const clients = Array.from({ length: count }, () => createTestConnection());
  const connections = new Set(clients.map(({ connection }) => connection));
  return { clients, shedder: new Shedder(connections) };
}
