import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { logKey, metaKey } from '@tradewind/bus';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startRedis } from '../../../test/support/redis/redis.ts';
import { eventually } from '../../../test/support/suite/wait.ts';
import { startPublisher } from './publisher.ts';

/** The part of Redis that a publisher uses. */
let redis: Server;
let url: string;
let text = '';
let answer: (command: number) => string;
const sockets: Socket[] = [];

beforeEach(async () => {
  text = '';
  answer = () => ':1\r\n';
  let commands = 0;
  redis = createServer((socket) => {
    sockets.push(socket);
    let greeted = false;
    socket.on('data', (bytes) => {
      if (!greeted) {
        greeted = true;
        socket.write(
          bytes.includes('AUTH') && !bytes.includes('secret') ? '-WRONGPASS no\r\n' : '+OK\r\n',
        );
        return;
      }
      text += bytes.toString('latin1');
      const count = text.split('PUBLISH').length - 1;
      let replies = '';
      for (; commands < count; commands += 1) replies += answer(commands);
      // In pieces that end anywhere, as on a network.
      socket.write(replies.slice(0, 3));
      socket.write(replies.slice(3));
    });
  });
  redis.listen(0, '127.0.0.1');
  await once(redis, 'listening');
  url = `redis://127.0.0.1:${(redis.address() as AddressInfo).port}`;
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  redis.close();
});

describe('a publisher', () => {
  it('publishes at its rate on all channels in turn, and reports the totals', async () => {
    await using publisher = await startPublisher({
      redisUrl: url,
      channels: ['a', 'b', 'c'],
      core: undefined,
    });
    await publisher.start({ ratePerSecond: 2_000, payloadBytes: 100 });
    const startedAt = performance.now();
    await eventually(async () => (await publisher.sample()).sent >= 600);
    const totals = await publisher.stop();
    const seconds = (performance.now() - startedAt) / 1_000;

    expect(totals.total / 2_000).toBeCloseTo(totals.seconds, 6);
    expect(totals.total).toBeLessThanOrEqual(2_000 * (seconds + 1));
    expect(Math.max(...totals.published) - Math.min(...totals.published)).toBeLessThanOrEqual(1);
    expect(totals).toMatchObject({ refused: 0, refusal: undefined });
    const times = [...text.matchAll(/\{"t":(\d{16}),/g)].map(([, time]) => Number(time));
    expect(times).toHaveLength(totals.total);
    // The times are the schedule's: evenly spaced, independent of when the timer fired.
    for (let i = 1; i < times.length; i += 1) {
      expect(Math.abs(times[i]! - times[i - 1]! - 500)).toBeLessThanOrEqual(1);
    }
  });

  it('counts what Redis refused, for the channel that it was for', async () => {
    answer = (command) => (command % 2 === 0 ? '-NOPERM no\r\n' : ':0\r\n');
    await using publisher = await startPublisher({
      redisUrl: url,
      channels: ['a', 'b'],
      core: undefined,
    });
    await publisher.start({ ratePerSecond: 1_000, payloadBytes: 30 });
    await eventually(async () => (await publisher.sample()).confirmed >= 100);
    const totals = await publisher.stop();
    expect(totals.refusal).toBe('NOPERM no');
    expect(totals.published[0]).toBe(0);
    expect(totals.published[1]).toBe(totals.total);
  });

  it('publishes with offsets if asked to, and counts them in the same way', async () => {
    await using server = await startRedis();
    await using publisher = await startPublisher({
      redisUrl: server.url,
      channels: ['a', 'b', 'c'],
      core: undefined,
      sequenced: { historySize: 10, historyTtlMs: 0 },
    });
    await publisher.start({ ratePerSecond: 5_000, payloadBytes: 100 });
    await eventually(async () => (await publisher.sample()).confirmed >= 1_000);
    const totals = await publisher.stop();
    expect(totals.refusal).toBeUndefined();
    expect(totals.published.reduce((sum, count) => sum + count, 0)).toBe(totals.total);
    const client = new Redis(server.url);
    try {
      for (const [index, channel] of ['a', 'b', 'c'].entries()) {
        const [, offset] = ((await client.get(metaKey(channel))) ?? '').split(':');
        expect(Number(offset)).toBe(totals.published[index]);
        expect(await client.xlen(logKey(channel))).toBe(10);
      }
    } finally {
      client.disconnect();
    }
  });

  it('reports why Redis refuses its login', async () => {
    const withPassword = url.replace('//', '//user:wrong@');
    await expect(
      startPublisher({ redisUrl: withPassword, channels: ['a'], core: undefined }),
    ).rejects.toThrow('WRONGPASS');
    const right = url.replace('//', '//user:secret@');
    await using _ = await startPublisher({ redisUrl: right, channels: ['a'], core: undefined });
  });
});
