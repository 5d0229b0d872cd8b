import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createRandom } from '../../support/suite/random.ts';
import { eventually } from '../../support/suite/wait.ts';
import { Ledger } from '../oracle/ledger.ts';
import { ResumingClient } from './resuming-client.ts';

const CHANNEL = 'BTC.trade';

let server: WebSocketServer;
let url: string;
let asked: unknown[];
let sockets: WebSocket[];

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  url = `ws://127.0.0.1:${(server.address() as { port: number }).port}`;
  asked = [];
  sockets = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('message', (data) => asked.push(JSON.parse(String(data)).channels[0]));
  });
});

afterEach(async () => {
  for (const socket of server.clients) socket.terminate();
  server.close();
  await once(server, 'close');
});

function say(frame: object): void {
  sockets.at(-1)!.send(JSON.stringify(frame));
}

function subscribed(offset: number, more: object = {}): object {
  const channel = { channel: CHANNEL, ref: 1, epoch: 'a', offset, ...more };
  return { type: 'subscribed', id: 0, channels: [channel], done: true };
}

function clientOf(ledger: Ledger, resumes: boolean): ResumingClient {
  const random = createRandom(1).next;
  const options = { name: 'client', urls: [url], channels: [CHANNEL], jitterMs: 20 };
  return new ResumingClient({ ...options, ledger, random, resumes });
}

function publish(ledger: Ledger, offset: number): void {
  ledger.acknowledged(CHANNEL, { epoch: 'a', offset }, `{"n":${offset}}`);
}

function deliver(seq: number, offset: number): void {
  say({ seq, channel: CHANNEL, offset, ts: 1, data: { n: offset } });
}

it('continues after the last offset that it has', async () => {
  const ledger = new Ledger();
  await using client = clientOf(ledger, true);
  await eventually(() => asked.length === 1);
  say(subscribed(4));
  publish(ledger, 5);
  deliver(1, 5);
  await eventually(() => client.settled);
  publish(ledger, 6);
  expect(client.settled).toBe(false);
  sockets[0]!.terminate();
  await eventually(() => asked.length === 2);
  expect(asked).toEqual([CHANNEL, { channel: CHANNEL, since: { epoch: 'a', offset: 5 } }]);
  say(subscribed(6, { recovered: true, replayed: 1 }));
  deliver(1, 6);
  await eventually(() => client.settled);
  expect(client.oracle.finish()).toEqual([]);
  expect(client.oracle.counts).toMatchObject({ connections: 2, recovered: 1, replayed: 1 });
});

it('misses what was published while it was away if it does not send its position', async () => {
  const ledger = new Ledger();
  await using client = clientOf(ledger, false);
  await eventually(() => asked.length === 1);
  say(subscribed(4));
  await eventually(() => client.live);
  publish(ledger, 5);
  client.drop();
  await eventually(() => asked.length === 2);
  say(subscribed(5));
  await eventually(() => client.live);
  expect(client.oracle.finish().map(({ kind }) => kind)).toEqual(['silent-hole']);
});

it('requests a channel again that was refused temporarily', async () => {
  await using client = clientOf(new Ledger(), true);
  await eventually(() => asked.length === 1);
  const rejected = [{ channel: CHANNEL, code: 'unavailable' }];
  say({ type: 'subscribed', id: 0, channels: [], rejected, done: true });
  await eventually(() => asked.length === 2);
  say(subscribed(0));
  await eventually(() => client.live);
});

it('is away from the moment it is dropped, and reads nothing more of the old connection', async () => {
  const ledger = new Ledger();
  await using client = clientOf(ledger, true);
  await eventually(() => asked.length === 1);
  say(subscribed(4));
  await eventually(() => client.live);
  publish(ledger, 5);
  deliver(1, 5);
  client.drop();
  expect(client.live).toBe(false);
  await eventually(() => asked.length === 2);
  expect(asked.at(-1)).toEqual({ channel: CHANNEL, since: { epoch: 'a', offset: 4 } });
});
