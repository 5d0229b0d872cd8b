import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { DemoSubscriber } from './demo-subscriber.ts';
import { Latency } from './latency.ts';
import { TradeLedger } from './trade-ledger.ts';

const CHANNEL = 'BTC.trade';

let edge: WebSocketServer;
let clients: WebSocket[];
let rejected: { channel: string; code: string }[];
let requests: number;

beforeEach(async () => {
  clients = [];
  rejected = [];
  requests = 0;
  edge = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  edge.on('connection', (client) => {
    clients.push(client);
    client.send('{"type":"welcome"}');
    client.on('message', (data) => {
      const { id } = JSON.parse(String(data));
      requests += 1;
      client.send(JSON.stringify({ type: 'subscribed', id, channels: [], rejected, done: true }));
    });
  });
  await new Promise((resolve) => edge.once('listening', resolve));
});

afterEach(async () => {
  for (const client of clients) client.terminate();
  await new Promise((resolve) => edge.close(resolve));
});

async function start(
  ledger: TradeLedger,
  onPrice: (channel: string, price: string) => void = () => {},
): Promise<DemoSubscriber> {
  const { port } = edge.address() as AddressInfo;
  return await DemoSubscriber.start({
    name: 'test',
    edge: { name: 'edge-1', wsUrl: `ws://127.0.0.1:${port}/ws` },
    channels: [CHANNEL],
    ledger,
    latency: new Latency(performance.now()),
    onPrice,
  });
}

function publish(seq: number, id: string): void {
  const data = { id, price: '1.10' };
  clients.at(-1)?.send(JSON.stringify({ seq, channel: CHANNEL, ts: 1, data }));
}

describe('DemoSubscriber', () => {
  it('counts what is doubled, late, missing or misnumbered', async () => {
    const ledger = new TradeLedger();
    const subscriber = await start(ledger);
    for (const id of ['a', 'b', 'c', 'd', 'e']) ledger.offer(CHANNEL, id, performance.now());
    publish(1, 'a');
    publish(2, 'c');
    publish(3, 'b');
    publish(4, 'b');
    publish(6, 'e');
    await vi.waitFor(() => expect(subscriber.counts().sequenceBreaks).toBe(1));
    expect(subscriber.counts()).toEqual({
      delivered: 4,
      outOfOrder: 1,
      duplicates: 1,
      missing: 1,
      sequenceBreaks: 1,
      connectionsLost: 0,
    });
    await subscriber.stop();
  });

  it('shows prices of others, and leaves them out of the count', async () => {
    const prices: string[] = [];
    const subscriber = await start(new TradeLedger(), (channel, price) => {
      prices.push(`${channel} ${price}`);
    });
    publish(1, 'from redis-cli');
    await vi.waitFor(() => expect(prices).toEqual([`${CHANNEL} 1.10`]));
    expect(subscriber.counts().delivered).toBe(0);
    await subscriber.stop();
  });

  it('comes back after a lost connection, and what it missed is missing', async () => {
    const ledger = new TradeLedger();
    const subscriber = await start(ledger);
    ledger.offer(CHANNEL, 'lost', performance.now());
    clients[0]?.terminate();
    await vi.waitFor(() => expect(clients).toHaveLength(2), { timeout: 5_000 });
    ledger.offer(CHANNEL, 'seen', performance.now());
    publish(1, 'seen');
    await vi.waitFor(() => expect(subscriber.counts().delivered).toBe(1));
    expect(subscriber.counts()).toMatchObject({ missing: 1, connectionsLost: 1 });
    await subscriber.stop();
  });

  it('asks again for what the edge cannot take just now', async () => {
    rejected = [{ channel: CHANNEL, code: 'unavailable' }];
    const starting = start(new TradeLedger());
    await vi.waitFor(() => expect(requests).toBeGreaterThan(1), { timeout: 5_000 });
    rejected = [];
    await (await starting).stop();
  });

  it('rejects when the edge rejects its channel', async () => {
    rejected = [{ channel: CHANNEL, code: 'channel_not_allowed' }];
    await expect(start(new TradeLedger())).rejects.toThrow('channel_not_allowed');
  });
});
