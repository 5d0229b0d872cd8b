import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { eventually } from '../../../test/support/suite/wait.ts';
import { RedisPipeline } from './redis-pipeline.ts';

const SCRIPT_ANSWER = '*3\r\n$11\r\nk3x9k3x9k3x\r\n:12\r\n:0\r\n';

it('counts every form of reply to publishing, wherever the network cuts it', async () => {
  const stream = `:1\r\n${SCRIPT_ANSWER}-NOPERM no\r\n$3\r\n-no\r\n*0\r\n${SCRIPT_ANSWER}:0\r\n`;
  const expected = [undefined, undefined, 'NOPERM no', undefined, undefined, undefined, undefined];
  for (let cut = 1; cut < stream.length; cut += 1) {
    const server = createServer((socket) => {
      socket.setNoDelay(true);
      socket.once('data', () => {
        socket.write('+PONG\r\n');
        socket.once('data', () => {
          socket.write(stream.slice(0, cut));
          setImmediate(() => socket.write(stream.slice(cut)));
        });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const replies: (string | undefined)[] = [];
    const pipeline = await RedisPipeline.connect(`redis://127.0.0.1:${port}`, (refusal) =>
      replies.push(refusal),
    );
    try {
      pipeline.write(Buffer.from('x'));
      await eventually(() => replies.length === expected.length);
      expect(replies).toEqual(expected);
    } finally {
      pipeline.end();
      server.close();
    }
  }
});

it('gives up on a Redis that accepts and never answers, and names it', async () => {
  await using server = createServer((socket) => {
    socket.on('error', () => {}).resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connecting = RedisPipeline.connect(`redis://:secret@127.0.0.1:${port}`, () => {}, 100);
  await expect(connecting).rejects.toThrow(`127.0.0.1:${port}: no answer within 0.1 s`);
});
