// The usual first program with `ws`: each client has its own `seq`, so each gets its own JSON.
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { openChannelSource } from './channel-source.ts';
import {
  announce,
  LISTEN_BACKLOG,
  redisUrl,
  type SubscribeMessage,
  subscribedAnswer,
} from './contract.ts';

interface Client {
  readonly socket: WebSocket;
  seq: number;
}

const rooms = new Map<string, Set<Client>>();

const source = openChannelSource(redisUrl(), (channel, payload) => {
  const data: unknown = JSON.parse(payload);
  const ts = Date.now();
  for (const client of rooms.get(channel) ?? []) {
    client.seq += 1;
    client.socket.send(JSON.stringify({ seq: client.seq, channel, ts, data }));
  }
});

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: LISTEN_BACKLOG });

server.on('connection', (socket) => {
  const client: Client = { socket, seq: 0 };
  socket.on('error', () => socket.terminate());
  socket.on('message', async (text) => {
    const request = JSON.parse(String(text)) as SubscribeMessage;
    await source.subscribe(request.channels);
    socket.send(subscribedAnswer(request));
    for (const channel of request.channels) {
      const room = rooms.get(channel) ?? new Set();
      rooms.set(channel, room.add(client));
    }
  });
  socket.on('close', () => {
    for (const room of rooms.values()) room.delete(client);
  });
});

server.on('listening', () => announce((server.address() as AddressInfo).port));
