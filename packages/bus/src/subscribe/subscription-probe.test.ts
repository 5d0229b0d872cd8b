import { afterAll, describe, expect, it } from 'vitest';
import { eventually } from '../../../../test/support/suite/wait.ts';
import {
  type FakeAnswer,
  type FakeRedis,
  resp,
  startFakeRedis,
} from '../link/testing/fake-redis.ts';
import { RedisRefusedError, RedisUnavailableError } from '../redis-errors.ts';
import { PROBE_INTERVAL_MS } from '../redis-limits.ts';
import { RedisSubscriber } from './redis-subscriber.ts';
import type { ProbeOptions } from './subscription-probe.ts';

/** Ended after all tests, since most of them wait for seconds and so run at the same time. */
const owned: (() => PromiseLike<void>)[] = [];
afterAll(() => Promise.all(owned.map((end) => end())));

const CHANNEL = 'tw:probe:edge-7';

interface Scene {
  readonly subscriber: RedisSubscriber;
  readonly events: string[];
  readonly beats: string[];
}

/** A subscriber of `a` with a probe; `heartbeat` gets what writes to all connections of the fake. */
function sceneOf(
  redis: FakeRedis,
  heartbeat: (
    token: string,
    tell: (bytes: string) => void,
  ) => Promise<RedisRefusedError | void> | RedisRefusedError | void,
  options: Partial<ProbeOptions> = {},
): Scene {
  const events: string[] = [];
  const beats: string[] = [];
  const tell = (bytes: string): void => {
    for (const socket of redis.sockets) socket.write(bytes);
  };
  const subscriber = new RedisSubscriber(
    {
      url: redis.url,
      password: undefined,
      certificateAuthority: undefined,
      connectionName: 'test',
    },
    {
      message: (channel, payload) => events.push(`message ${channel} ${payload}`),
      subscribed: (channels) => events.push(`subscribed ${channels.join()}`),
      refused: (channel) => events.push(`refused ${channel}`),
      linkLost: (cause) => events.push(`lost ${cause}`),
      linkRestored: () => events.push('restored'),
    },
    {
      name: 'edge-7',
      async heartbeat(name, token) {
        expect(name).toBe('edge-7');
        beats.push(token);
        return { refusal: (await heartbeat(token, tell)) ?? undefined, connection: 1 };
      },
      probeFailed: (cause) => events.push(`failed ${cause}`),
      probeRefused: (error) => events.push(`refused ${error.code}`),
      writesRefused: (error) => events.push(`writes refused ${error.code}`),
      writesAccepted: () => events.push('writes accepted'),
      ...options,
    },
  );
  owned.push(() => subscriber.stop());
  subscriber.want('a');
  subscriber.start();
  return { subscriber, events, beats };
}

async function fakeRedis(answer: FakeAnswer): Promise<FakeRedis> {
  const redis = await startFakeRedis(answer);
  owned.push(() => redis[Symbol.asyncDispose]());
  return redis;
}

/** Answers the probe's SUBSCRIBE with the number of subscriptions, and others as Redis does. */
function counting(count: () => number): FakeAnswer {
  return ([name, channel]) =>
    name === 'subscribe' && channel === CHANNEL ? resp.subscribed(CHANNEL, count()) : undefined;
}

const arrives = (token: string, tell: (bytes: string) => void): void =>
  tell(resp.message(CHANNEL, token));

describe('SubscriptionProbe', () => {
  it.concurrent('publishes a fresh token each second and keeps the probe to itself', async () => {
    const redis = await fakeRedis(counting(() => 2));
    const { subscriber, events, beats } = sceneOf(redis, arrives);
    await eventually(() => expect(beats).toHaveLength(3));
    expect(new Set(beats).size).toBe(3);
    expect(events.toSorted()).toEqual(['restored', 'subscribed a']);
    expect(subscriber.probeAgeMs).toBeLessThan(2 * PROBE_INTERVAL_MS);
  });

  it.concurrent('replaces a link on which the probes do not arrive, and is restored when one does', async () => {
    let deaf = true;
    const redis = await fakeRedis(counting(() => 2));
    const { subscriber, events } = sceneOf(redis, (token, tell) => {
      if (!deaf) arrives(token, tell);
    });
    await eventually(() => expect(events.at(-1)).toBe('subscribed a'));
    await eventually(() =>
      expect(events.filter((event) => event === 'subscribed a')).toHaveLength(2),
    );
    expect(subscriber.linked).toBe(false);
    expect(subscriber.probeAgeMs).toBeGreaterThan(2 * PROBE_INTERVAL_MS - 100);
    deaf = false;
    await eventually(() => expect(subscriber.linked).toBe(true));
    expect(events.filter((event) => event.startsWith('lost'))).toEqual([
      'lost a probe that was published did not arrive, 2 times in a row',
    ]);
    expect(events.filter((event) => event.startsWith('failed')).length).toBeGreaterThanOrEqual(2);
  });

  it.concurrent('replaces a link whose subscriptions Redis counts differently', async () => {
    let count = 2;
    const redis = await fakeRedis(counting(() => count));
    const { subscriber, events } = sceneOf(redis, arrives);
    await eventually(() => expect(events).toContain('restored'));
    count = 1;
    await eventually(() =>
      expect(events).toContain('lost Redis holds 1 subscriptions instead of 2'),
    );
    count = 2;
    await eventually(() => expect(subscriber.linked).toBe(true));
  });

  it.concurrent('keeps a link while heartbeats cannot be sent, and counts it as restored after 3 s', async () => {
    const redis = await fakeRedis(counting(() => 2));
    const { events, beats } = sceneOf(redis, () => {
      throw new RedisUnavailableError('not-sent', 'down');
    });
    // Far more than one in each interval: ten in the first second of an idle machine, and fewer of a busy one.
    await eventually(() => expect(beats.length).toBeGreaterThan(3));
    expect(events).toEqual(['subscribed a']);
    await eventually(() => expect(events).toEqual(['subscribed a', 'restored']));
  });

  it.concurrent.each(['READONLY', 'NOREPLICAS'])(
    'replaces a link once when the heartbeat is refused with %s, and is not restored without a proof',
    async (code) => {
      let refused = true;
      const redis = await fakeRedis(counting(() => 2));
      const { events, beats } = sceneOf(redis, (token, tell) => {
        if (refused) throw new RedisRefusedError(`${code} You can not write`);
        arrives(token, tell);
      });
      await eventually(() => expect(events.some((event) => event.startsWith('lost'))).toBe(true));
      await eventually(() => expect(beats.length).toBeGreaterThan(6));
      expect(events.filter((event) => event.startsWith('failed'))).toHaveLength(2);
      expect(events.filter((event) => event.startsWith('lost'))).toHaveLength(1);
      expect(events).not.toContain('restored');
      refused = false;
      await eventually(() => expect(events).toContain('restored'));
    },
  );

  it.concurrent.each(['MISCONF', 'OOM'])(
    'keeps a link on which the heartbeat arrives, although it was not written because of %s',
    async (code) => {
      let refused = false;
      const redis = await fakeRedis(counting(() => 2));
      const { subscriber, events, beats } = sceneOf(redis, (token, tell) => {
        arrives(token, tell);
        return refused ? new RedisRefusedError(`${code} no`) : undefined;
      });
      await eventually(() => expect(events).toContain('restored'));
      refused = true;
      const before = beats.length;
      await eventually(() => expect(beats.length).toBeGreaterThan(before + 2));
      expect(subscriber.probeAgeMs).toBeLessThan(2 * PROBE_INTERVAL_MS);
      refused = false;
      await eventually(() => expect(events).toContain('writes accepted'));
      expect(events.slice(2)).toEqual([`writes refused ${code}`, 'writes accepted']);
    },
  );

  it.concurrent('leaves a server that is no master once, and is restored where it delivers all the same', async () => {
    const redis = await fakeRedis(counting(() => 2));
    const { events, beats } = sceneOf(redis, (token, tell) => {
      arrives(token, tell);
      return new RedisRefusedError('READONLY You can not write');
    });
    await eventually(() => expect(beats.length).toBeGreaterThan(6));
    expect(events.filter((event) => event.startsWith('lost'))).toHaveLength(1);
    expect(events.filter((event) => event === 'restored')).toHaveLength(2);
  });

  it.concurrent('follows what is written to another server, once', async () => {
    const redis = await fakeRedis(counting(() => 2));
    let strayed = 0;
    const { events } = sceneOf(redis, arrives, {
      linksAgree: async () => false,
      strayed() {
        strayed += 1;
      },
    });
    await eventually(() => expect(strayed).toBe(1));
    expect(events.filter((event) => event.startsWith('lost'))).toEqual([
      'lost what is written goes to another server',
    ]);
  });

  it.concurrent.each(['NOPERM', 'ERR'])(
    'tells once of a heartbeat that is forbidden with %s, and leaves it alone',
    async (code) => {
      const redis = await fakeRedis(counting(() => 2));
      const { subscriber, events, beats } = sceneOf(redis, () => {
        throw new RedisRefusedError(`${code} no`);
      });
      await looks(redis, 4);
      expect(beats).toHaveLength(1);
      expect(events.toSorted()).toEqual([`refused ${code}`, 'restored', 'subscribed a']);
      expect(subscriber.probeAgeMs).toBeUndefined();
    },
  );

  it.concurrent.each(['BUSY', 'LOADING'])(
    'tries again at the next look what is refused with %s, lets the age grow and is restored by data',
    async (code) => {
      let refused = true;
      const redis = await fakeRedis(counting(() => 2));
      const { subscriber, events, beats } = sceneOf(redis, (token, tell) => {
        if (refused) throw new RedisRefusedError(`${code} no`);
        arrives(token, tell);
      });
      await eventually(() => expect(beats).toHaveLength(3));
      expect(events.toSorted()).toEqual([`refused ${code}`, 'subscribed a']);
      expect(subscriber.probeAgeMs).toBeGreaterThan(2 * PROBE_INTERVAL_MS - 100);
      refused = false;
      await eventually(() => expect(events).toContain('restored'));
      refused = true;
      await eventually(() =>
        expect(events.filter((event) => event === `refused ${code}`)).toHaveLength(2),
      );
    },
  );

  it.concurrent('looks again soon when the look was refused for now', async () => {
    let busy = true;
    const redis = await fakeRedis(([name, channel]) => {
      if (name !== 'subscribe' || channel !== CHANNEL) return undefined;
      return busy ? '-BUSY no\r\n' : resp.subscribed(CHANNEL, 2);
    });
    const { subscriber, events } = sceneOf(redis, arrives);
    await eventually(() => expect(events).toContain('refused BUSY'));
    expect(subscriber.probeAgeMs).toBeDefined();
    busy = false;
    await eventually(() => expect(subscriber.probeAgeMs).toBeLessThan(PROBE_INTERVAL_MS / 2));
  });

  it.concurrent('is restored after a miscounted link while heartbeats are forbidden', async () => {
    let count = 2;
    const redis = await fakeRedis(counting(() => count));
    const { events } = sceneOf(redis, () => {
      throw new RedisRefusedError('NOPERM no');
    });
    await eventually(() => expect(events).toContain('refused NOPERM'));
    count = 1;
    await untilLost(events);
    count = 2;
    await untilRestoredAgain(events);
  });

  it.concurrent('goes on without a probe whose channel is forbidden', async () => {
    const redis = await fakeRedis(([name, channel]) =>
      name === 'subscribe' && channel === CHANNEL ? '-NOPERM no\r\n' : undefined,
    );
    const { events, beats } = sceneOf(redis, arrives);
    await eventually(() => expect(events).toContain('refused NOPERM'));
    await eventually(() => expect(events).toContain('restored'));
    expect(beats).toEqual([]);
  });

  it.concurrent('has no timer and says nothing after stop, also when a heartbeat settles then', async () => {
    const redis = await fakeRedis(counting(() => 2));
    const settled = Promise.withResolvers<void>();
    const { subscriber, events, beats } = sceneOf(redis, () => settled.promise);
    await eventually(() => expect(beats).toHaveLength(1));
    await eventually(() => expect(events).toEqual(['subscribed a']));
    await subscriber.stop();
    settled.reject(new RedisRefusedError('NOPERM no'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(['subscribed a']);
  });

  it('does not blame the link for stalls of our own event loop', async () => {
    const redis = await fakeRedis(counting(() => 2));
    const { events, beats } = sceneOf(redis, (token, tell) => {
      arrives(token, tell);
      const end = performance.now() + 1.2 * PROBE_INTERVAL_MS;
      while (performance.now() < end);
    });
    await eventually(() => expect(beats).toHaveLength(3));
    expect(events.toSorted()).toEqual(['restored', 'subscribed a']);
  });
});

async function untilLost(events: readonly string[]): Promise<void> {
  await eventually(() => expect(events.some((event) => event.startsWith('lost'))).toBe(true));
}

async function untilRestoredAgain(events: readonly string[]): Promise<void> {
  await eventually(() => expect(events.filter((event) => event === 'restored')).toHaveLength(2));
}

/** Resolves when the fake has been asked `count` times for the probe's channel. */
async function looks(redis: FakeRedis, count: number): Promise<void> {
  await eventually(() =>
    expect(
      redis.commands.filter(([name, channel]) => name === 'subscribe' && channel === CHANNEL),
    ).toHaveLength(count),
  );
}
