import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { TradeLedger } from '../trades/trade-ledger.ts';
import { DemoSubscriber } from './demo-subscriber.ts';
import { Latency } from './latency.ts';
import type { Move } from './move-report.ts';

const CHANNEL = 'BTC.trade';
const DEADLINE = { timeout: 10_000 };

let edge: WebSocketServer;
let clients: WebSocket[];
/** What the edge answers about the channel; with `code` it refuses it. */
let answer: { readonly code?: string } & Record<string, unknown>;
/** Every request's position. */
let asked: unknown[];
let moves: Move[];
let latency: Latency;

beforeEach(async () => {
  clients = [];
  asked = [];
  moves = [];
  latency = new Latency(-10_000);
  answer = { epoch: 'e', offset: 0 };
  edge = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  edge.on('connection', (client) => {
    clients.push(client);
    client.send(
      JSON.stringify({
        type: 'welcome',
        session: `s${clients.length}`,
        node: `edge-${clients.length}`,
        serverTime: Date.now(),
        protocol: 'tradewind.v1.json',
        auth: 'none',
        heartbeat: { clientPingMs: 20_000, timeoutMs: 10_000 },
        limits: { maxChannels: 512, maxChannelsPerRequest: 128, maxHistory: 1_000 },
      }),
    );
    client.on('message', (data) => {
      const { type, id, channels } = JSON.parse(String(data));
      if (type !== 'subscribe') return;
      asked.push(channels[0]?.since);
      const { code } = answer;
      const rejected = code === undefined ? [] : [{ channel: CHANNEL, code, retryAfterMs: 50 }];
      const held = code === undefined ? [{ channel: CHANNEL, ref: 1, ...answer }] : [];
      client.send(JSON.stringify({ type: 'subscribed', id, channels: held, rejected, done: true }));
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
    home: 'edge-1',
    nextUrl: () => `ws://127.0.0.1:${port}/ws`,
    channels: [CHANNEL],
    ledger,
    latencyOf: (node) => (node === 'edge-1' ? latency : undefined),
    onPrice,
    onMove: (move) => moves.push(move),
  });
}

function publish(offset: number, id: string): void {
  const data = { id, price: '1.10' };
  clients
    .at(-1)
    ?.send(JSON.stringify({ seq: offset, channel: CHANNEL, offset, ts: Date.now(), data }));
}

describe('DemoSubscriber', () => {
  it('counts what is doubled, late or missing', async () => {
    const ledger = new TradeLedger();
    const subscriber = await start(ledger);
    for (const id of ['a', 'b', 'c', 'd', 'e']) ledger.offer(CHANNEL, id, performance.now());
    for (const [index, id] of ['a', 'c', 'b', 'b', 'e'].entries()) publish(index + 1, id);
    await vi.waitFor(() => expect(subscriber.counts().delivered).toBe(4), DEADLINE);
    expect(subscriber.counts()).toMatchObject({ outOfOrder: 1, duplicates: 1, missing: 1 });
    expect(latency.recent(performance.now()).p50).toBeDefined();
    await subscriber.stop();
  });

  it('shows prices of others, and leaves them out of the count', async () => {
    const prices: string[] = [];
    const subscriber = await start(new TradeLedger(), (channel, price) => {
      prices.push(`${channel} ${price}`);
    });
    publish(1, 'from redis-cli');
    await vi.waitFor(() => expect(prices).toEqual([`${CHANNEL} 1.10`]), DEADLINE);
    expect(subscriber.counts().delivered).toBe(0);
    await subscriber.stop();
  });

  it('resumes on another node, and misses nothing that history has', async () => {
    const ledger = new TradeLedger();
    const subscriber = await start(ledger);
    for (const id of ['a', 'b', 'c']) ledger.offer(CHANNEL, id, performance.now());
    publish(1, 'a');
    await vi.waitFor(() => expect(subscriber.counts().delivered).toBe(1), DEADLINE);
    answer = { epoch: 'e', offset: 2, recovered: true, replayed: 1 };
    clients[0]?.terminate();
    await vi.waitFor(() => expect(asked).toHaveLength(2), DEADLINE);
    expect(asked[1]).toEqual({ epoch: 'e', offset: 1 });
    publish(2, 'b');
    publish(3, 'c');
    await vi.waitFor(() => expect(subscriber.counts().delivered).toBe(3), DEADLINE);
    expect(subscriber.counts()).toMatchObject({ missing: 0, moves: 1, recovered: 1, gaps: 0 });
    expect(subscriber.node).toBe('edge-2');
    expect(moves).toEqual([{ to: 'edge-2', awayMs: expect.any(Number) }]);
    await subscriber.stop();
  });

  it('counts what history does not have as missing', async () => {
    const ledger = new TradeLedger();
    const subscriber = await start(ledger);
    for (const id of ['a', 'b', 'c']) ledger.offer(CHANNEL, id, performance.now());
    publish(1, 'a');
    await vi.waitFor(() => expect(subscriber.counts().delivered).toBe(1), DEADLINE);
    answer = { epoch: 'e', offset: 2, recovered: false, replayed: 0 };
    clients[0]?.terminate();
    await vi.waitFor(() => expect(asked).toHaveLength(2), DEADLINE);
    publish(3, 'c');
    await vi.waitFor(() => expect(subscriber.counts().delivered).toBe(2), DEADLINE);
    expect(subscriber.counts()).toMatchObject({ missing: 1, gaps: 1 });
    await subscriber.stop();
  });

  it('asks again for what the edge cannot take just now', async () => {
    answer = { code: 'unavailable' };
    const starting = start(new TradeLedger());
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(1), DEADLINE);
    answer = { epoch: 'e', offset: 0 };
    await (await starting).stop();
  });

  it('rejects when the edge rejects its channel', async () => {
    answer = { code: 'channel_not_allowed' };
    await expect(start(new TradeLedger())).rejects.toThrow('channel_not_allowed');
  });
});
