// The next step with `ws`: without a sequence for each client, so that one string serves all.
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

const rooms = new Map<string, Set<WebSocket>>();
let seq = 0;

const source = openChannelSource(redisUrl(), (channel, payload) => {
  seq += 1;
  const text = `{"seq":${seq},"channel":"${channel}","ts":${Date.now()},"data":${payload}}`;
  for (const socket of rooms.get(channel) ?? []) socket.send(text);
});

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: LISTEN_BACKLOG });

server.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.on('message', async (text) => {
    const request = JSON.parse(String(text)) as SubscribeMessage;
    await source.subscribe(request.channels);
    socket.send(subscribedAnswer(request));
    for (const channel of request.channels) {
      const room = rooms.get(channel) ?? new Set();
      rooms.set(channel, room.add(socket));
    }
  });
  socket.on('close', () => {
    for (const room of rooms.values()) room.delete(socket);
  });
});

server.on('listening', () => announce((server.address() as AddressInfo).port));
