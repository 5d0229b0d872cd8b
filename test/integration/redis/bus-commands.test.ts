import {
  CLUSTER_REVOCATION_CHANNEL,
  MAX_REVOCATIONS,
  REVOCATION_CHANNEL,
  REVOCATIONS_KEY,
  readRevocation,
  writeRevocation,
} from '@tradewind/bus';
import type { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startCommands as startCommandsOf } from '../../support/redis/bus-of-mode.ts';
import {
  commandCalls,
  connectBackend,
  IS_CLUSTER,
  startReceiver as receive,
} from '../../support/redis/redis-mode.ts';
import { redisOfEachTest } from '../../support/redis/redis-of-each-test.ts';
import { BUSY_MACHINE_MS, eventually } from '../../support/suite/wait.ts';

const redis = redisOfEachTest();

/** The command by which a plain publication is published. */
const PUBLISH = IS_CLUSTER ? 'spublish' : 'publish';

const TOLD = IS_CLUSTER ? CLUSTER_REVOCATION_CHANNEL : REVOCATION_CHANNEL;

function startCommands(login = '') {
  const started = startCommandsOf(redis.current, login);
  onTestFinished(() => started.commands.stop());
  return started;
}

async function startReceiver(
  channel: string,
): Promise<{ received: string[]; linked(): Promise<boolean> }> {
  const received: string[] = [];
  const receiver = await receive(redis.current, channel, (payload) => {
    received.push(payload.toString('latin1'));
  });
  onTestFinished(() => receiver.disconnect());
  // `ready` comes before its subscription is back.
  const subscribers = async () => {
    const [, count] = (await withAdmin((admin) => admin.pubsub('NUMSUB', channel))) as unknown[];
    return Number(count);
  };
  return { received, linked: async () => (await subscribers()) === 1 };
}

async function withAdmin<T>(use: (admin: Redis) => Promise<T>): Promise<T> {
  const admin = connectBackend(redis.current);
  try {
    return await use(admin);
  } finally {
    admin.disconnect();
  }
}

describe('RedisCommands on a real Redis', () => {
  it('publishes bytes and texts in order, and counts the receivers', async () => {
    const { received } = await startReceiver('a');
    const { commands, isUp } = startCommands();
    await eventually(isUp);
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
    const { commands, events, isUp } = startCommands();
    await eventually(isUp);
    await redis.current.kill();
    await eventually(() => !commands.available);

    const began = performance.now();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1_000 }, () => commands.publish('a', 'stale')),
    );
    expect(performance.now() - began).toBeLessThan(BUSY_MACHINE_MS);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ reason: { code: 'unavailable', outcome: 'not-sent' } });

    await redis.current.restart();
    await eventually(async () => isUp() && (await linked()));
    await commands.publish('a', 'fresh');
    await eventually(() => received.length > 0);
    expect(received).toEqual(['fresh']);
    expect(events).toEqual(['available', 'unavailable', 'available']);
    expect((await commandCalls(redis.current)).get(PUBLISH)).toBe(1);
  });

  it('notices a frozen Redis within 3 s, and settles what is in flight', async () => {
    const { commands, events, isUp } = startCommands();
    await eventually(isUp);
    await redis.current.freeze();
    const frozenAt = performance.now();
    await expect(commands.publish('a', 'x')).rejects.toMatchObject({ outcome: 'unknown' });
    expect(performance.now() - frozenAt).toBeLessThan(3_000 + BUSY_MACHINE_MS);
    await eventually(() => !commands.available);
    await expect(commands.publish('a', 'x')).rejects.toMatchObject({ outcome: 'not-sent' });
    await redis.current.thaw();
    await eventually(isUp);
    expect(events).toEqual(['available', 'unavailable', 'available']);
  });

  it('passes errors of Redis on', async () => {
    await withAdmin((admin) =>
      admin.call('ACL', 'SETUSER', 'ingest', 'on', '>secret', '+@all', 'resetchannels', '&a'),
    );
    const { commands, isUp } = startCommands('ingest:secret@');
    await eventually(isUp);
    expect(await commands.publish('a', 'x')).toBe(0);
    await expect(commands.publish('b', 'x')).rejects.toMatchObject({
      name: 'RedisRefusedError',
      code: 'NOPERM',
    });
  });

  it('is unavailable while Redis loads or has no master, and recovers by itself', async ({
    skip,
  }) => {
    skip(
      IS_CLUSTER,
      'REPLICAOF is not allowed on a node of a cluster; test/chaos has its failovers',
    );
    const { commands, events, isUp } = startCommands();
    await eventually(isUp);
    await withAdmin(async (admin) => {
      await admin.config('SET', 'replica-serve-stale-data', 'no');
      await admin.call('REPLICAOF', '127.0.0.1', '1');
      await eventually(() => !commands.available);
      await expect(commands.publish('a', 'x')).rejects.toMatchObject({ outcome: 'not-sent' });
      await admin.call('REPLICAOF', 'NO', 'ONE');
    });
    await eventually(isUp);
    expect(events).toEqual(['available', 'unavailable', 'available']);
  });

  it('keeps revocations, tells of each at once, and removes those that have ended for long', async () => {
    const { received } = await startReceiver(TOLD);
    const { commands, isUp } = startCommands();
    await eventually(isUp);
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
    const { commands, isUp } = startCommands();
    await eventually(isUp);
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
    const { commands, isUp } = startCommands();
    await eventually(isUp);
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
    const { commands, isUp } = startCommands();
    await eventually(isUp);
    await redis.current.freeze();
    const published = Array.from({ length: 500 }, (_, index) => commands.publish('a', `${index}`));
    for (const outcome of await Promise.allSettled(published))
      expect(outcome).toMatchObject({ reason: { code: 'unavailable', outcome: 'unknown' } });
    await redis.current.thaw();
    await eventually(isUp);
    await commands.publish('a', 'end');
    const calls = (await commandCalls(redis.current)).get(PUBLISH);
    expect(calls).toBeGreaterThan(0);
    expect(calls).toBeLessThanOrEqual(published.length + 1);
  });
});
