import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { encodeClientClose, encodeClientFrame, encodeClientText } from './client-frames.ts';
import { Handshake } from './handshake.ts';

it('upgrades, and sends texts of all lengths, pongs and closes, as ws reads them', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const heard: unknown[] = [];
    const closed = new Promise<void>((resolve) => {
      server.on('connection', (client) => {
        client.on('message', (data) => heard.push(String(data).length));
        client.on('pong', (data) => heard.push(String(data)));
        client.on('close', (code) => {
          heard.push(code);
          resolve();
        });
      });
    });
    const socket = connect(port, '127.0.0.1');
    const handshake = new Handshake(new URL(`ws://127.0.0.1:${port}/ws?a=b`));
    socket.write(handshake.request);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(handshake.read(answer)).toEqual({ accepted: true, rest: Buffer.alloc(0) });

    const lengths = [0, 1, 125, 126, 65_535, 65_536];
    for (const length of lengths) socket.write(encodeClientText('x'.repeat(length)));
    socket.write(encodeClientFrame('pong', Buffer.from('hey')));
    socket.write(encodeClientClose(4008));
    await closed;
    expect(heard).toEqual([...lengths, 'hey', 4008]);
    socket.destroy();
  } finally {
    server.close();
  }
});
