import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TradeFeed } from './trade-feed.ts';
import { TradeLedger } from './trade-ledger.ts';
import type { Trade, TradeSource } from './trade-source.ts';

let ingest: Server;
let url: string;
let bodies: string[];
let answer: (lines: string[]) => { status: number; body: string };

beforeEach(async () => {
  bodies = [];
  ingest = createServer(async (request, response) => {
    const body = await text(request);
    bodies.push(body);
    const { status, body: answered } = answer(body.split('\n'));
    response.writeHead(status).end(answered);
  });
  await new Promise<void>((resolve) => ingest.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(ingest.address() as AddressInfo).port}`;
});

afterEach(async () => {
  ingest.closeAllConnections();
  await new Promise((resolve) => ingest.close(resolve));
});

function sourceOf(batches: Trade[][]): TradeSource & { closed: boolean } {
  const source = {
    label: 'test',
    symbols: ['BTC'],
    closed: false,
    take: async () => batches.shift(),
    async close() {
      source.closed = true;
    },
  };
  return source;
}

function trade(id: string): Trade {
  return { symbol: 'BTC', id, price: '1.10', line: `{"id":"${id}","price":1.10}` };
}

describe('TradeFeed', () => {
  it('hands on the lines as they are, in order, and notes what was published', async () => {
    answer = (lines) => ({ status: 200, body: JSON.stringify({ results: lines.map(() => ({})) }) });
    const ledger = new TradeLedger();
    const source = sourceOf([[trade('a'), trade('b')], [trade('c')]]);
    const feed = new TradeFeed(source, ledger, url);
    await feed.run(new AbortController().signal);
    expect(bodies).toEqual([
      '{"id":"a","price":1.10}\n{"id":"b","price":1.10}',
      '{"id":"c","price":1.10}',
    ]);
    expect(ledger.accepted).toBe(3);
    expect(ledger.find('BTC.trade', 'c')?.index).toBe(3);
    expect(source.closed).toBe(true);
    expect(feed.state).toEqual({ ended: true, lastRefusal: undefined });
  });

  it('notes which trades were refused, and why', async () => {
    const error = { code: 'unavailable', message: 'Redis does not answer.' };
    answer = () => ({ status: 207, body: JSON.stringify({ results: [{ error }, {}] }) });
    const ledger = new TradeLedger();
    const feed = new TradeFeed(sourceOf([[trade('a'), trade('b')]]), ledger, url);
    await feed.run(new AbortController().signal);
    expect(ledger.accepted).toBe(1);
    expect(ledger.wasRefused('BTC.trade', 1)).toBe(true);
    expect(feed.state.lastRefusal).toBe('unavailable: Redis does not answer.');
  });

  it.each([
    { status: 503, body: '{"error":{"code":"draining"}}' },
    { status: 200, body: 'not JSON' },
  ])('takes an answer of $status "$body" for a refusal of all', async (given) => {
    answer = () => given;
    const ledger = new TradeLedger();
    const feed = new TradeFeed(sourceOf([[trade('a'), trade('b')]]), ledger, url);
    await feed.run(new AbortController().signal);
    expect(ledger.refused).toBe(2);
    expect(feed.state.lastRefusal).toBeTruthy();
  });

  it('stops when told to', async () => {
    const stop = new AbortController();
    const endless: TradeSource = { ...sourceOf([]), take: async () => [] };
    const running = new TradeFeed(endless, new TradeLedger(), url).run(stop.signal);
    stop.abort();
    await running;
    expect(bodies).toEqual([]);
  });
});
