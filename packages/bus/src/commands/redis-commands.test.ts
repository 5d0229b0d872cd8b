import { describe, expect, it, onTestFinished } from 'vitest';
import { BUSY_MACHINE_MS, eventually } from '../../../../test/support/suite/wait.ts';
import { type FakeAnswer, type FakeRedis, startFakeRedis } from '../link/testing/fake-redis.ts';
import { COMMAND_BYTES_IN_FLIGHT, COMMANDS_IN_FLIGHT } from '../redis-limits.ts';
import { RedisCommands } from './redis-commands.ts';

async function fakeRedis(answer: FakeAnswer): Promise<FakeRedis> {
  const redis = await startFakeRedis(answer);
  onTestFinished(() => redis[Symbol.asyncDispose]());
  return redis;
}

function commandsOf(redis: FakeRedis): { commands: RedisCommands; events: string[] } {
  const events: string[] = [];
  const commands = new RedisCommands(
    {
      url: redis.url,
      password: undefined,
      certificateAuthority: undefined,
      connectionName: 'test',
    },
    {
      available: () => events.push('available'),
      unavailable: (cause) => events.push(`unavailable: ${cause}`),
      unmended: ({ version, mendedBy }) => events.push(`unmended: ${version} ${mendedBy}`),
    },
  );
  onTestFinished(() => commands.stop());
  return { commands, events };
}

async function startedCommands(redis: FakeRedis): Promise<ReturnType<typeof commandsOf>> {
  const started = commandsOf(redis);
  started.commands.start();
  await eventually(() => expect(started.commands.available).toBe(true));
  return started;
}

const NO_REPLY: FakeAnswer = ([name]) => (name === 'publish' ? '' : undefined);

describe('RedisCommands', () => {
  it('publishes in the order of the calls, and frees the payload at once', async () => {
    const redis = await fakeRedis(() => undefined);
    const { commands, events } = await startedCommands(redis);
    const payload = new Uint8Array([0xff, 0x00, 0x0d, 0x0a]);
    const published = [commands.publish('a', payload)];
    payload.fill(0x61);
    for (const text of ['1', '2', 'ü']) published.push(commands.publish('a', text));
    expect(await Promise.all(published)).toEqual([1, 1, 1, 1]);
    expect(
      redis.commands.filter(([name]) => name === 'publish').map(([, , bytes]) => bytes),
    ).toEqual(['\xff\x00\r\n', '1', '2', '\xc3\xbc']);
    expect(events).toEqual(['available']);
  });

  it('tells once a version that Redis does not mend a fault', async () => {
    const greeting = '%2\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n';
    const redis = await fakeRedis(([name]) => (name === 'hello' ? greeting : undefined));
    const { commands, events } = await startedCommands(redis);
    commands.reconnect('again');
    await eventually(() => expect(events.filter((event) => event === 'available')).toHaveLength(2));
    expect(events.filter((event) => event.startsWith('unmended'))).toEqual([
      'unmended: 7.0.15 7.2.11',
    ]);
  });

  it('rejects at once, and for good, while there is no link', async () => {
    const redis = await fakeRedis(() => undefined);
    const { commands } = commandsOf(redis);
    await expect(commands.publish('a', 'early')).rejects.toMatchObject({
      name: 'RedisUnavailableError',
      code: 'unavailable',
      outcome: 'not-sent',
    });
    commands.start();
    await eventually(() => expect(commands.available).toBe(true));
    await commands.publish('a', 'later');
    expect(redis.commands.filter(([name]) => name === 'publish')).toEqual([
      ['publish', 'a', 'later'],
    ]);
  });

  it('rejects what was in flight when the link is cut as unknown, once', async () => {
    const redis = await fakeRedis(NO_REPLY);
    const { commands, events } = await startedCommands(redis);
    const published = [commands.publish('a', '1'), commands.publish('a', '2')];
    const outcomes = Promise.allSettled(published);
    await eventually(() =>
      expect(redis.commands.filter(([name]) => name === 'publish')).toHaveLength(2),
    );
    for (const socket of redis.sockets) socket.destroy();
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ reason: { code: 'unavailable', outcome: 'unknown' } });
    await eventually(() => expect(events.at(-1)).toBe('available'));
    expect(events).toHaveLength(3);
    expect(redis.commands.filter(([name]) => name === 'publish')).toHaveLength(2);
  });

  it('rejects what was in flight when Redis falls silent within 3 s', async () => {
    let mute = false;
    const redis = await fakeRedis(() => (mute ? '' : undefined));
    const { commands } = await startedCommands(redis);
    mute = true;
    const began = performance.now();
    await expect(commands.publish('a', '1')).rejects.toMatchObject({ outcome: 'unknown' });
    expect(performance.now() - began).toBeLessThan(3_000 + BUSY_MACHINE_MS);
    expect(commands.available).toBe(false);
  });

  it.each(['NOPERM', 'READONLY', 'OOM'])('passes on the refusal %s', async (code) => {
    const redis = await fakeRedis(([name]) =>
      name === 'publish' ? `-${code} not now\r\n` : undefined,
    );
    const { commands } = await startedCommands(redis);
    const error: unknown = await commands.publish('a', 'secret payload').catch((cause) => cause);
    expect(error).toMatchObject({ name: 'RedisRefusedError', code, message: `${code} not now` });
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  it('bounds how many commands are in flight', async () => {
    const redis = await fakeRedis(NO_REPLY);
    const { commands } = await startedCommands(redis);
    const published = Array.from({ length: COMMANDS_IN_FLIGHT }, () => commands.publish('a', ''));
    const outcomes = Promise.allSettled(published);
    await expect(commands.publish('a', '')).rejects.toMatchObject({ outcome: 'not-sent' });
    await commands.stop();
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ reason: { outcome: 'unknown' } });
  });

  it('bounds how many bytes are in flight, and takes more when they are settled', async () => {
    const redis = await fakeRedis(() => undefined);
    const { commands } = await startedCommands(redis);
    for (const socket of redis.sockets) socket.pause();
    const payload = new Uint8Array(COMMAND_BYTES_IN_FLIGHT / 2 + 1);
    const first = commands.publish('a', payload);
    await expect(commands.publish('a', payload)).rejects.toMatchObject({ outcome: 'not-sent' });
    for (const socket of redis.sockets) socket.destroy();
    await expect(first).rejects.toMatchObject({ outcome: 'unknown' });

    await eventually(() => expect(commands.available).toBe(true));
    for (const socket of redis.sockets) socket.pause();
    const second = commands.publish('a', payload);
    for (const socket of redis.sockets) socket.destroy();
    await expect(second).rejects.toMatchObject({ outcome: 'unknown' });
  });
});
