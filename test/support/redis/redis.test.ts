import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { eventually } from '../suite/wait.ts';
import { startRedis } from './redis.ts';

/** How long a server that was frozen on purpose must stay silent to convince the test, in ms. */
const SILENCE_MS = 300;

function connect(url: string): Redis {
  const redis = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  return redis;
}

describe.each([
  { where: 'where the suite runs it', kind: undefined },
  { where: 'as a process', kind: 'process' as const },
])('startRedis, $where', ({ kind }) => {
  const options = kind === undefined ? {} : { kind };

  it('restarts empty on the same port', async () => {
    await using redis = await startRedis(options);
    const client = connect(redis.url);
    await client.set('key', 'value');
    const url = redis.url;
    await redis.restart();
    await eventually(async () => expect(await client.get('key')).toBeNull());
    expect(redis.url).toBe(url);
    client.disconnect();
  });

  it('refuses connections after a kill until it is restarted', async () => {
    await using redis = await startRedis(options);
    await redis.kill();
    const client = new Redis(redis.url, { lazyConnect: true, retryStrategy: null });
    client.on('error', () => {});
    await expect(client.connect()).rejects.toThrow();
    await redis.restart();
    await eventually(async () => {
      await client.connect();
      expect(await client.ping()).toBe('PONG');
    });
    client.disconnect();
  });

  it('is silent with its connections open while frozen', async () => {
    await using redis = await startRedis(options);
    const client = connect(redis.url);
    await client.ping();
    let closed = false;
    client.on('close', () => {
      closed = true;
    });
    await redis.freeze();
    const silent = AbortSignal.timeout(SILENCE_MS);
    const answer = client.ping();
    const first = await Promise.race([
      answer,
      new Promise((resolve) => silent.addEventListener('abort', () => resolve('silence'))),
    ]);
    expect(first).toBe('silence');
    await redis.thaw();
    expect(await answer).toBe('PONG');
    expect(closed).toBe(false);
    client.disconnect();
  });

  it('passes arguments on', async () => {
    await using redis = await startRedis({ ...options, args: ['--maxclients', '77'] });
    const client = connect(redis.url);
    expect(await client.config('GET', 'maxclients')).toEqual(['maxclients', '77']);
    client.disconnect();
  });

  it('can be stopped twice, and while frozen', async () => {
    const redis = await startRedis(options);
    await redis.freeze();
    await redis.stop();
    await redis.stop();
  });
});
