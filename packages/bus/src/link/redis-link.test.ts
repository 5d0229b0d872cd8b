import { createServer } from 'node:net';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { BUSY_MACHINE_MS, eventually } from '../../../../test/support/suite/wait.ts';
import { SENTINEL_LOOK_INTERVAL_MS, SILENCE_LIMIT_MS } from '../redis-limits.ts';
import type { RedisMode, RedisSettings } from '../redis-settings.ts';
import { RedisLink } from './redis-link.ts';
import { type FakeAnswer, type FakeRedis, startFakeRedis } from './testing/fake-redis.ts';
import { type FakeSentinel, startFakeSentinel } from './testing/fake-sentinel.ts';

/** Ended after all tests, since most of them wait for seconds and so run at the same time. */
const owned: (() => PromiseLike<void>)[] = [];
afterAll(() => Promise.all(owned.map((end) => end())));

async function fakeRedis(answer: FakeAnswer): Promise<FakeRedis> {
  const redis = await startFakeRedis(answer);
  owned.push(() => redis[Symbol.asyncDispose]());
  return redis;
}

interface ObservedLink {
  readonly link: RedisLink;
  readonly events: string[];
}

function linkTo(
  url: string,
  mode: RedisMode = 'single',
  settings: Partial<RedisSettings> = {},
): ObservedLink {
  const events: string[] = [];
  const link = new RedisLink(
    {
      ...{
        mode,
        url,
        password: undefined,
        certificateAuthority: undefined,
        connectionName: 'test',
      },
      ...settings,
    },
    'commands',
    {
      up: () => events.push('up'),
      pulse: () => events.push('pulse'),
      down: (cause) => events.push(`down: ${cause}`),
      stillDown: (cause) => events.push(`still down: ${cause}`),
    },
  );
  owned.push(() => link.stop());
  return { link, events };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function named(command: readonly string[], name: string): boolean {
  return command[0]?.toLowerCase() === name;
}

describe('RedisLink', () => {
  it.concurrent('is up after the first answered PING, and pulses with each further one', async () => {
    const redis = await fakeRedis(() => undefined);
    const { link, events } = linkTo(redis.url);
    expect(link.writable).toBe(false);
    link.start();
    await eventually(() => expect(events).toEqual(['up', 'pulse']));
    expect(link.writable).toBe(true);
    expect(redis.commands.map(([name]) => name?.toLowerCase())).toEqual([
      'hello',
      'client',
      'ping',
      'ping',
    ]);
  });

  it.concurrent('tells once that Redis cannot be reached, and goes on trying', async () => {
    const { link, events } = linkTo(`redis://127.0.0.1:${await freePort()}`);
    const attempts = vi.fn();
    link.redis.on('reconnecting', attempts);
    link.start();
    await eventually(() => expect(attempts.mock.calls.length).toBeGreaterThan(2));
    expect(events).toEqual([expect.stringMatching(/^down: .*ECONNREFUSED/)]);
  });

  it.concurrent('tells of a wrong password', async () => {
    const redis = await fakeRedis((command) =>
      named(command, 'hello') ? '-WRONGPASS invalid username-password pair\r\n' : undefined,
    );
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toHaveLength(1));
    expect(events[0]).toBe('down: WRONGPASS invalid username-password pair');
  });

  it.concurrent('asks nothing of a server that is too old, and takes the one that comes after it', async () => {
    let version = '6.2.20';
    const greeting = () => `%3\r\n+server\r\n+redis\r\n+version\r\n+${version}\r\n+proto\r\n:3\r\n`;
    const redis = await fakeRedis((command) => (named(command, 'hello') ? greeting() : undefined));
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toHaveLength(1));
    expect(events).toEqual(['down: it is redis 6.2.20, and Tradewind needs 7.0 or later']);
    expect(redis.commands.some((command) => named(command, 'ping'))).toBe(false);
    version = '7.0.15';
    await eventually(() => expect(events.at(-1)).toBe('up'));
    expect(link.serverVersion).toEqual({ server: 'redis', version: '7.0.15' });
  });

  it.concurrent('takes a server that does not know HELLO for one that is too old', async () => {
    const redis = await fakeRedis((command) =>
      named(command, 'hello') ? '-ERR unknown command `hello`\r\n' : undefined,
    );
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toHaveLength(1));
    expect(events[0]).toMatch(/^down: it is redis 5 or older/);
  });

  it.concurrent('stays down while PING is answered with an error, without connecting again', async () => {
    let loading = true;
    const redis = await fakeRedis((command) =>
      named(command, 'ping') && loading ? '-LOADING Redis is loading\r\n' : undefined,
    );
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toEqual(['down: LOADING Redis is loading']));
    loading = false;
    await eventually(() => expect(events).toContain('up'));
    expect(redis.commands.filter((command) => named(command, 'hello'))).toHaveLength(1);
  });

  it.concurrent.each(['MISCONF', 'NOPERM', 'ERR'])(
    'is up, and stays so, where PING is answered with %s',
    async (word) => {
      const redis = await fakeRedis((command) =>
        named(command, 'ping') ? `-${word} no\r\n` : undefined,
      );
      const { link, events } = linkTo(redis.url);
      link.start();
      await eventually(() => expect(events).toEqual(['up', 'pulse', 'pulse']));
    },
  );

  it.concurrent.each(['LOADING', 'BUSY'])(
    'keeps a connection whose PING is answered with %s later',
    async (word) => {
      let pings = 0;
      const redis = await fakeRedis((command) =>
        named(command, 'ping') && ++pings > 1 ? `-${word} no\r\n` : undefined,
      );
      const { link, events } = linkTo(redis.url);
      link.start();
      await eventually(() => expect(events).toEqual(['up', 'pulse', 'pulse']));
    },
  );

  it.concurrent('leaves a replica that lost its master once, and waits for it on the next connection', async () => {
    let pings = 0;
    let cutOff = true;
    const redis = await fakeRedis((command) =>
      named(command, 'ping') && ++pings > 1 && cutOff ? '-MASTERDOWN Link is down\r\n' : undefined,
    );
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(pings).toBeGreaterThan(4));
    expect(events.filter((event) => event !== 'pulse')).toEqual([
      'up',
      'down: MASTERDOWN Link is down',
    ]);
    cutOff = false;
    await eventually(() => expect(events.at(-1)).toBe('up'));
    expect(redis.commands.filter((command) => named(command, 'hello'))).toHaveLength(2);
  });

  it.concurrent('reads the password again when Redis does not take it, and tells the cause that lasts', async () => {
    let password = 'old';
    const taken = { password: 'old' };
    const redis = await fakeRedis((command) =>
      named(command, 'hello') && command[4] !== taken.password
        ? '-WRONGPASS invalid username-password pair or user is disabled.\r\n'
        : undefined,
    );
    const { link, events } = linkTo(redis.url, 'single', {
      password: 'old',
      rereadPassword: () => password,
    });
    link.start();
    await eventually(() => expect(events).toEqual(['up']));
    taken.password = 'new';
    for (const socket of redis.sockets) socket.destroy();
    await eventually(() =>
      expect(events).toEqual([
        'up',
        'down: Redis closed the connection',
        'still down: WRONGPASS invalid username-password pair or user is disabled.',
      ]),
    );
    password = 'new';
    await eventually(() => expect(events.at(-1)).toBe('up'));
  });

  it.concurrent('tells that there is no room for a client, which Redis says and closes', async () => {
    const redis = await fakeRedis((command, socket) => {
      if (named(command, 'hello')) socket.end('-ERR max number of clients reached\r\n');
      return '';
    });
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toEqual(['down: ERR max number of clients reached']));
  });

  it.concurrent('connects less than once a second to a Redis that ends each connection', async () => {
    let ending = false;
    const redis = await fakeRedis((command, socket) => {
      if (ending && named(command, 'ping')) setImmediate(() => socket.destroy());
      return undefined;
    });
    const connections = (): number =>
      redis.commands.filter((command) => named(command, 'hello')).length;
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toEqual(['up']));
    ending = true;
    // The first ones come fast, as after any loss: 6 of them wait less than 2 s together.
    await eventually(() => expect(connections()).toBe(8));
    const before = performance.now();
    await eventually(() => expect(connections()).toBe(11));
    expect(performance.now() - before).toBeGreaterThan(3 * 1_000);
  });

  it.concurrent('notices within 3 s that Redis no longer answers, and connects again', async () => {
    let mute = false;
    const redis = await fakeRedis(() => (mute ? '' : undefined));
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toEqual(['up']));
    mute = true;
    await eventually(() => expect(events[1]).toMatch(/^down: no answer/), {
      deadlineMs: 3_000 + BUSY_MACHINE_MS,
    });
    mute = false;
    await eventually(() => expect(events[2]).toBe('up'));
  });

  it.concurrent('gives up a handshake that is never answered', async () => {
    let connections = 0;
    const redis = await fakeRedis((command) =>
      named(command, 'hello') && ++connections === 1 ? '' : undefined,
    );
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toEqual([expect.stringMatching(/^down/), 'up']));
  });

  it.concurrent('leaves an answer its time while other bytes arrive', async () => {
    const redis = await fakeRedis((command, socket) => {
      if (!named(command, 'ping')) return undefined;
      const noise = setInterval(() => socket.write('>2\r\n$4\r\nnews\r\n$1\r\nx\r\n'), 200);
      setTimeout(() => {
        clearInterval(noise);
        socket.write('+PONG\r\n');
      }, SILENCE_LIMIT_MS + 500);
      return '';
    });
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toHaveLength(1));
    expect(events).toEqual(['up']);
  });

  it.concurrent.each(['READONLY', 'NOREPLICAS'])(
    'leaves a Redis that answers %s, after it has answered all',
    async (word) => {
      let demoted = true;
      const redis = await fakeRedis(([name]) => {
        if (name === 'multi') return '+OK\r\n';
        if (name === 'exec')
          return '-EXECABORT Transaction discarded because of previous errors.\r\n';
        if (name === 'publish') return '+QUEUED\r\n';
        return name === 'set' && demoted ? `-${word} no\r\n` : undefined;
      });
      const { link, events } = linkTo(redis.url);
      link.start();
      await eventually(() => expect(events).toEqual(['up']));
      const writes = Array.from({ length: 100 }, () => link.redis.set('key', 'value'));
      const transaction = link.redis.multi().set('key', 'value').publish('a', 'b').exec();
      const outcomes = await Promise.allSettled([...writes, transaction]);
      expect(outcomes.map(({ status }) => status)).toEqual(Array(101).fill('rejected'));
      expect(outcomes.at(-1)).toMatchObject({
        reason: { previousErrors: [{ message: `${word} no` }] },
      });
      expect(link.redis.stream.listenerCount('close')).toBeLessThan(10);
      demoted = false;
      await eventually(() => expect(events).toEqual(['up', `down: ${word} no`, 'up']));
    },
  );

  it.concurrent('leaves a master that answers when the Sentinels name another, and stays there', async () => {
    const [old, promoted] = [await fakeRedis(() => undefined), await fakeRedis(() => undefined)];
    const sentinels = await fakeSentinels(3, old);
    const { link, events } = linkTo(urlOf(sentinels), 'sentinel');
    link.start();
    await eventually(() => expect(events).toEqual(['up']));
    // The first one is cut off together with the old master, and goes on to name it.
    for (const sentinel of sentinels.slice(1)) sentinel.word = wordOf(promoted, 2);
    await eventually(() => expect(events.filter((event) => event === 'up')).toHaveLength(2));
    const moved = `down: the Sentinels name another master: ${promoted.url.slice('redis://'.length)}`;
    expect(events.filter((event) => event !== 'pulse')).toEqual(['up', moved, 'up']);
    await nothingFor(3 * SENTINEL_LOOK_INTERVAL_MS);
    expect(events.filter((event) => event !== 'pulse')).toEqual(['up', moved, 'up']);
    expect(promoted.sockets.size).toBe(1);
  });

  it.concurrent('asks no Sentinel any more after stop', async () => {
    const sentinels = await fakeSentinels(1, await fakeRedis(() => undefined));
    const asked = (): number => sentinels[0]?.server.commands.length ?? 0;
    const { link, events } = linkTo(urlOf(sentinels), 'sentinel');
    link.start();
    await eventually(() => expect(events).toEqual(['up']));
    const before = asked();
    await eventually(() => expect(asked()).toBeGreaterThan(before));
    await link.stop();
    await eventually(() => expect(sentinels[0]?.server.sockets.size).toBe(0));
    const after = asked();
    await nothingFor(2 * SENTINEL_LOOK_INTERVAL_MS);
    expect(asked()).toBe(after);
  });

  it.concurrent('starts over when ioredis itself gives up', async () => {
    const redis = await fakeRedis(() => undefined);
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toEqual(['up']));
    link.redis.disconnect();
    await eventually(() => expect(events).toEqual(['up', expect.stringMatching(/^down/), 'up']));
  });

  it('does not blame Redis for a stall of our own event loop', async () => {
    const redis = await fakeRedis((command) => {
      if (named(command, 'ping')) stall(SILENCE_LIMIT_MS + 500);
      return undefined;
    });
    const { link, events } = linkTo(redis.url);
    link.start();
    await eventually(() => expect(events).toHaveLength(1));
    expect(events).toEqual(['up']);
  });

  it('ends in every state, and says nothing afterwards', async () => {
    const redis = await fakeRedis(() => undefined);
    const fresh = linkTo(redis.url);
    await fresh.link.stop();
    fresh.link.start();

    const connecting = linkTo(redis.url);
    connecting.link.start();
    await connecting.link.stop();

    const waiting = linkTo(`redis://127.0.0.1:${await freePort()}`);
    waiting.link.start();
    await eventually(() => expect(waiting.link.redis.status).toBe('reconnecting'));
    await waiting.link.stop();

    const up = linkTo(redis.url);
    up.link.start();
    await eventually(() => expect(up.events).toEqual(['up']));
    await Promise.all([up.link.stop(), up.link.stop()]);

    expect([fresh.events, connecting.events, up.events]).toEqual([[], [], ['up']]);
    await eventually(() => expect(redis.sockets.size).toBe(0));
  });
});

async function fakeSentinels(count: number, master: FakeRedis): Promise<FakeSentinel[]> {
  const sentinels = await Promise.all(
    Array.from({ length: count }, () => startFakeSentinel(wordOf(master, 1))),
  );
  for (const sentinel of sentinels) owned.push(() => sentinel[Symbol.asyncDispose]());
  return sentinels;
}

function wordOf({ url }: FakeRedis, epoch: number): FakeSentinel['word'] {
  return { host: '127.0.0.1', port: Number(new URL(url).port), epoch };
}

function urlOf(sentinels: readonly FakeSentinel[]): string {
  return `redis://${sentinels.map(({ address }) => address).join()}/trades`;
}

/** Resolves after `ms`: nothing is to happen, which no event can tell. */
async function nothingFor(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
