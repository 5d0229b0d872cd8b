// Rooms of socket.io, over WebSocket only: it encodes a packet once for a whole room.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { openChannelSource } from './channel-source.ts';
import { announce, LISTEN_BACKLOG, redisUrl } from './contract.ts';

let seq = 0;

const source = openChannelSource(redisUrl(), (channel, payload) => {
  seq += 1;
  const data: unknown = JSON.parse(payload);
  io.to(channel).emit('publication', { seq, channel, ts: Date.now(), data });
});

const server = createServer();
const io = new Server(server, { transports: ['websocket'], serveClient: false });

io.on('connection', (socket) => {
  socket.on('subscribe', async (channels: string[], answer: () => void) => {
    await source.subscribe(channels);
    await socket.join(channels);
    answer();
  });
});

server.listen({ host: '127.0.0.1', port: 0, backlog: LISTEN_BACKLOG }, () =>
  announce((server.address() as AddressInfo).port),
);
