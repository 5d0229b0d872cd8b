import {
  MAX_REVOCATIONS,
  REVOCATION_CHANNEL,
  REVOCATIONS_KEY,
  RedisCommands,
  type RedisSettings,
  RedisSubscriber,
  readRevocation,
  writeRevocation,
} from '@tradewind/bus';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type SharedRedis, startSharedRedis } from '../support/shared-redis.ts';
import { eventually } from '../support/wait.ts';

let redis: SharedRedis;

beforeAll(async () => {
  redis = await startSharedRedis();
});

afterAll(() => redis?.stop());

beforeEach(() => redis.reset());

function settings(url = redis.url): RedisSettings {
  return {
    url,
    password: undefined,
    certificateAuthority: undefined,
    connectionName: 'tradewind-test',
  };
}

function startCommands(url = redis.url): { commands: RedisCommands; events: string[] } {
  const events: string[] = [];
  const commands = new RedisCommands(settings(url), {
    available: () => events.push('available'),
    unavailable: () => events.push('unavailable'),
  });
  onTestFinished(() => commands.stop());
  commands.start();
  return { commands, events };
}

async function startReceiver(channel: string): Promise<{ received: string[]; linked(): boolean }> {
  const received: string[] = [];
  const subscriber = new RedisSubscriber(settings(), {
    message: (_channel, payload) => received.push(payload.toString('latin1')),
    subscribed: () => {},
    refused: () => {},
    linkLost: () => {},
    linkRestored: () => {},
  });
  onTestFinished(() => subscriber.stop());
  subscriber.want(channel);
  subscriber.start();
  await eventually(() => subscriber.linked);
  return { received, linked: () => subscriber.linked };
}

async function withAdmin<T>(use: (admin: Redis) => Promise<T>): Promise<T> {
  const admin = new Redis(redis.url);
  try {
    return await use(admin);
  } finally {
    admin.disconnect();
  }
}

describe('RedisCommands on a real Redis', () => {
  it('publishes bytes and texts in order, and counts the receivers', async () => {
    const { received } = await startReceiver('a');
    const { commands } = startCommands();
    await eventually(() => commands.available);
    const numbers = Array.from({ length: 1_000 }, (_, index) => String(index));
    const published = numbers.map((text) => commands.publish('a', text));
    published.push(commands.publish('a', new Uint8Array([0xff, 0xfe, 0x00])));
    expect(new Set(await Promise.all(published))).toEqual(new Set([1]));
    expect(await commands.publish('nobody', 'x')).toBe(0);
    await eventually(() => received.length === published.length);
    expect(received).toEqual([...numbers, '\xff\xfe\x00']);
  });

  it('rejects at once while Redis is down, and executes nothing of it afterwards', async () => {
    const { received, linked } = await startReceiver('a');
    const { commands, events } = startCommands();
    await eventually(() => commands.available);
    await redis.kill();
    await eventually(() => !commands.available);

    const began = performance.now();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1_000 }, () => commands.publish('a', 'stale')),
    );
    expect(performance.now() - began).toBeLessThan(500);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ reason: { code: 'unavailable', outcome: 'not-sent' } });

    await redis.restart();
    await eventually(() => commands.available && linked());
    await commands.publish('a', 'fresh');
    await eventually(() => received.length > 0);
    expect(received).toEqual(['fresh']);
    expect(events).toEqual(['available', 'unavailable', 'available']);
    await withAdmin(async (admin) =>
      expect(await admin.info('commandstats')).toContain('cmdstat_publish:calls=1,'),
    );
  });

  it('notices a frozen Redis within 3 s, and settles what is in flight', async () => {
    const { commands, events } = startCommands();
    await eventually(() => commands.available);
    await redis.freeze();
    const frozenAt = performance.now();
    await expect(commands.publish('a', 'x')).rejects.toMatchObject({ outcome: 'unknown' });
    expect(performance.now() - frozenAt).toBeLessThan(3_000);
    expect(commands.available).toBe(false);
    await expect(commands.publish('a', 'x')).rejects.toMatchObject({ outcome: 'not-sent' });
    await redis.thaw();
    await eventually(() => commands.available);
    expect(events).toEqual(['available', 'unavailable', 'available']);
  });

  it('passes errors of Redis on', async () => {
    await withAdmin((admin) =>
      admin.call('ACL', 'SETUSER', 'ingest', 'on', '>secret', '+@all', 'resetchannels', '&a'),
    );
    const { commands } = startCommands(redis.url.replace('redis://', 'redis://ingest:secret@'));
    await eventually(() => commands.available);
    expect(await commands.publish('a', 'x')).toBe(0);
    await expect(commands.publish('b', 'x')).rejects.toMatchObject({
      name: 'RedisRefusedError',
      code: 'NOPERM',
    });
  });

  it('is unavailable while Redis loads or has no master, and recovers by itself', async () => {
    const { commands, events } = startCommands();
    await eventually(() => commands.available);
    await withAdmin(async (admin) => {
      await admin.config('SET', 'replica-serve-stale-data', 'no');
      await admin.call('REPLICAOF', '127.0.0.1', '1');
      await eventually(() => !commands.available);
      await expect(commands.publish('a', 'x')).rejects.toMatchObject({ outcome: 'not-sent' });
      await admin.call('REPLICAOF', 'NO', 'ONE');
    });
    await eventually(() => commands.available);
    expect(events).toEqual(['available', 'unavailable', 'available']);
  });

  it('keeps revocations, tells of each at once, and removes those that have ended for long', async () => {
    const { received } = await startReceiver(REVOCATION_CHANNEL);
    const { commands } = startCommands();
    await eventually(() => commands.available);
    expect(await commands.readRevocations()).toEqual({ revocations: [], leftOut: 0 });
    const now = Date.now();
    const ended = { subject: 'gone', until: now - 3_600_000 };
    const [first, second] = [
      { subject: 'u1', issuedBefore: 7, until: now + 60_000 },
      { tokenId: 'ü', until: now + 120_000 },
    ];
    await withAdmin((admin) => admin.zadd(REVOCATIONS_KEY, ended.until, writeRevocation(ended)));
    expect(await commands.revoke(first, now)).toBe(1);
    await commands.revoke(first, now);
    await commands.revoke(second, now);
    await withAdmin((admin) => admin.zadd(REVOCATIONS_KEY, now, 'junk'));
    expect(await commands.readRevocations()).toEqual({ revocations: [second, first], leftOut: 1 });
    await eventually(() => received.length === 3);
    const told = received.map((text) => readRevocation(Buffer.from(text, 'latin1')));
    expect(told).toEqual([first, first, second]);
  });

  it('keeps a bounded number of revocations, and reads no more than that', async () => {
    const { commands } = startCommands();
    await eventually(() => commands.available);
    const until = Date.now() + 60_000;
    await withAdmin(async (admin) => {
      const pipeline = admin.pipeline();
      for (let i = 0; i < MAX_REVOCATIONS; i += 1) {
        pipeline.zadd(REVOCATIONS_KEY, until, writeRevocation({ subject: `u${i}`, until }));
      }
      await pipeline.exec();
    });
    const one = { subject: 'one too many', until };
    expect(await commands.revoke(one, Date.now())).toBeUndefined();
    await withAdmin((admin) => admin.zadd(REVOCATIONS_KEY, until + 1, writeRevocation(one)));
    const { revocations, leftOut } = await commands.readRevocations();
    expect([revocations.length, leftOut]).toEqual([MAX_REVOCATIONS, 1]);
    expect(revocations[0]).toEqual(one);
    // What has ended makes room.
    expect(await commands.revoke(one, until + 3_600_000)).toBe(0);
  });

  it('makes room from revocations that another one covers, so that nobody can use all of it up', async () => {
    const { commands } = startCommands();
    await eventually(() => commands.available);
    const until = Date.now() + 60_000;
    await withAdmin(async (admin) => {
      const pipeline = admin.pipeline();
      for (let issuedBefore = 1; issuedBefore <= MAX_REVOCATIONS; issuedBefore += 1) {
        const again = { subject: 'again', issuedBefore, until };
        pipeline.zadd(REVOCATIONS_KEY, until, writeRevocation(again));
      }
      await pipeline.exec();
    });
    const other = { subject: 'other', until };
    expect(await commands.revoke(other, Date.now())).toBe(0);
    const { revocations, leftOut } = await commands.readRevocations();
    expect(leftOut).toBe(0);
    expect(revocations).toContainEqual(other);
    expect(revocations).toContainEqual({ subject: 'again', issuedBefore: MAX_REVOCATIONS, until });
    // A node learns from the one that is left what it would from all.
    expect(revocations.length).toBeLessThan(MAX_REVOCATIONS);
  });

  it('never repeats a publish whose reply was lost', async () => {
    const { commands } = startCommands();
    await eventually(() => commands.available);
    await redis.freeze();
    const published = Array.from({ length: 500 }, (_, index) => commands.publish('a', `${index}`));
    for (const outcome of await Promise.allSettled(published))
      expect(outcome).toMatchObject({ reason: { code: 'unavailable', outcome: 'unknown' } });
    await redis.thaw();
    await eventually(() => commands.available);
    await commands.publish('a', 'end');
    const stats = await withAdmin((admin) => admin.info('commandstats'));
    const calls = Number(/cmdstat_publish:calls=(\d+)/.exec(stats)?.[1]);
    expect(calls).toBeGreaterThan(0);
    expect(calls).toBeLessThanOrEqual(published.length + 1);
  });
});
