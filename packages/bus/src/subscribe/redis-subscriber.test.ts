import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { eventually } from '../../../../test/support/suite/wait.ts';
import {
  type FakeAnswer,
  type FakeRedis,
  resp,
  startFakeRedis,
} from '../link/testing/fake-redis.ts';
import { RedisSubscriber } from './redis-subscriber.ts';

async function fakeRedis(answer: FakeAnswer): Promise<FakeRedis> {
  const redis = await startFakeRedis(answer);
  onTestFinished(() => redis[Symbol.asyncDispose]());
  return redis;
}

function subscriberOf(redis: FakeRedis): { subscriber: RedisSubscriber; events: string[] } {
  const events: string[] = [];
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
      refused: (channel, error) => events.push(`refused ${channel} ${error.code}`),
      linkLost: () => events.push('lost'),
      linkRestored: () => events.push('restored'),
    },
  );
  onTestFinished(() => subscriber.stop());
  return { subscriber, events };
}

function sent(redis: FakeRedis, name: string): (readonly string[])[] {
  return redis.commands
    .filter((command) => command[0]?.toLowerCase() === name)
    .map((command) => command.slice(1));
}

describe('RedisSubscriber', () => {
  it('confirms before it delivers, also when ack and message share a chunk', async () => {
    const redis = await fakeRedis(([name]) =>
      name === 'subscribe'
        ? resp.subscribed('a', 1) + resp.message('a', '1') + resp.message('a', '2')
        : undefined,
    );
    const { subscriber, events } = subscriberOf(redis);
    subscriber.want('a');
    subscriber.start();
    await eventually(() => expect(events).toContain('message a 2'));
    expect(events.filter((event) => event !== 'restored')).toEqual([
      'subscribed a',
      'message a 1',
      'message a 2',
    ]);
    await eventually(() => expect(events.filter((event) => event === 'restored')).toHaveLength(1));
  });

  it('delivers a message that arrives before the other acks of its batch', async () => {
    const redis = await fakeRedis(([name]) =>
      name === 'subscribe'
        ? resp.subscribed('a', 1) + resp.message('a', '1') + resp.subscribed('b', 2)
        : undefined,
    );
    const { subscriber, events } = subscriberOf(redis);
    subscriber.want('a');
    subscriber.want('b');
    subscriber.start();
    await eventually(() => expect(events).toContain('restored'));
    expect(events).toEqual(['subscribed a', 'message a 1', 'subscribed b', 'restored']);
  });

  it('gathers the wants and unwants of one turn into one command each', async () => {
    const redis = await fakeRedis(() => undefined);
    const { subscriber, events } = subscriberOf(redis);
    subscriber.start();
    await eventually(() => expect(events).toEqual(['restored']));
    expect(subscriber.linked).toBe(true);
    for (const channel of ['a', 'b', 'c', 'a']) subscriber.want(channel);
    await eventually(() => expect(events).toContain('subscribed a,b,c'));
    subscriber.unwant('a');
    subscriber.unwant('b');
    await eventually(() => expect(sent(redis, 'unsubscribe')).toEqual([['a', 'b']]));
    expect(sent(redis, 'subscribe')).toEqual([['a', 'b', 'c']]);
  });

  it('lets its owner drop the channel from within the confirmation', async () => {
    const redis = await fakeRedis(([name]) =>
      name === 'subscribe' ? resp.subscribed('a', 1) + resp.message('a', '1') : undefined,
    );
    const messages = vi.fn();
    const subscriber = new RedisSubscriber(
      {
        url: redis.url,
        password: undefined,
        certificateAuthority: undefined,
        connectionName: 'test',
      },
      {
        message: messages,
        subscribed: () => subscriber.unwant('a'),
        refused: () => {},
        linkLost: () => {},
        linkRestored: () => {},
      },
    );
    onTestFinished(() => subscriber.stop());
    subscriber.want('a');
    subscriber.start();
    await eventually(() => expect(sent(redis, 'unsubscribe')).toEqual([['a']]));
    expect(messages).not.toHaveBeenCalled();
  });

  it('asks again on the next link when the connection breaks before the ack', async () => {
    let broken = false;
    const redis = await fakeRedis(([name], socket) => {
      if (name !== 'subscribe' || broken) return undefined;
      broken = true;
      socket.resetAndDestroy();
      return '';
    });
    const { subscriber, events } = subscriberOf(redis);
    subscriber.want('a');
    subscriber.start();
    await eventually(() => expect(events).toEqual(['lost', 'subscribed a', 'restored']));
    expect(sent(redis, 'subscribe')).toEqual([['a'], ['a']]);
  });

  it('counts a refused channel as decided, and tells of its later success', async () => {
    let denied = true;
    const redis = await fakeRedis(([name, ...channels]) =>
      name === 'subscribe' && denied && channels.includes('b') ? '-NOPERM no\r\n' : undefined,
    );
    const { subscriber, events } = subscriberOf(redis);
    for (const channel of ['a', 'b', 'c', 'd']) subscriber.want(channel);
    subscriber.start();
    await eventually(() => expect(events).toContain('restored'));
    expect(events).toContain('refused b NOPERM');
    denied = false;
    await eventually(() => expect(events).toContain('subscribed b'));
  });

  it('reads positions in order, in batches, and after the messages before them', async () => {
    const redis = await fakeRedis(([name, key]) => {
      if (name !== 'getrange') return undefined;
      if (key === '{channel-8}:meta') return '-WRONGTYPE a list\r\n';
      const message = key === '{channel-0}:meta' ? resp.message('a', 'before') : '';
      return `${message}${key === '{channel-7}:meta' ? '$4\r\nk:42\r\n' : '$0\r\n\r\n'}`;
    });
    const { subscriber, events } = subscriberOf(redis);
    subscriber.want('a');
    subscriber.start();
    await eventually(() => expect(events).toContain('restored'));
    const channels = Array.from({ length: 600 }, (_, index) => `channel-${index}`);
    const positions = await subscriber.readPositions(channels);
    expect(events.at(-1)).toBe('message a before');
    expect(positions).toHaveLength(600);
    expect(positions[7]).toEqual({ epoch: 'k', offset: 42 });
    expect(positions.filter((position) => position !== undefined)).toHaveLength(1);
    const reads = sent(redis, 'getrange');
    expect(reads.map(([key]) => key)).toEqual(channels.map((name) => `{${name}}:meta`));
    // One byte more than a position may have.
    expect(new Set(reads.map(([, ...range]) => range.join()))).toEqual(new Set(['0,33']));
    expect(await subscriber.readPositions([])).toEqual([]);
  });

  it('reads whole values where the ACL of a release before does not allow a part of one', async () => {
    const redis = await fakeRedis(([name]) => {
      if (name === 'getrange')
        return "-NOPERM this user has no permissions to run the 'getrange' command\r\n";
      return name === 'mget' ? '*2\r\n$4\r\nk:42\r\n_\r\n' : undefined;
    });
    const { subscriber, events } = subscriberOf(redis);
    subscriber.start();
    await eventually(() => expect(events).toContain('restored'));
    for (let i = 0; i < 2; i += 1)
      expect(await subscriber.readPositions(['a', 'b'])).toEqual([
        { epoch: 'k', offset: 42 },
        undefined,
      ]);
    expect(sent(redis, 'getrange')).toHaveLength(2);
    expect(sent(redis, 'mget')).toHaveLength(2);
  });

  it('settles reads of positions when they are refused, the link breaks, or it is down', async () => {
    const redis = await fakeRedis(([name, key], socket) => {
      if (name !== 'getrange') return undefined;
      if (key === '{denied}:meta') return '-NOPERM no\r\n';
      socket.resetAndDestroy();
      return '';
    });
    const { subscriber, events } = subscriberOf(redis);
    await expect(subscriber.readPositions(['a'])).rejects.toMatchObject({ outcome: 'not-sent' });
    subscriber.start();
    await eventually(() => expect(events).toContain('restored'));
    await expect(subscriber.readPositions(['denied'])).rejects.toMatchObject({ code: 'NOPERM' });
    await expect(subscriber.readPositions(['a'])).rejects.toMatchObject({ outcome: 'unknown' });
    await eventually(() => expect(subscriber.linked).toBe(true));
    const stopped = subscriber.readPositions(['a']);
    const rejection = expect(stopped).rejects.toMatchObject({ outcome: 'unknown' });
    await subscriber.stop();
    await rejection;
  });

  it('says nothing after stop', async () => {
    const redis = await fakeRedis(() => undefined);
    const { subscriber, events } = subscriberOf(redis);
    subscriber.start();
    await eventually(() => expect(events).toEqual(['restored']));
    subscriber.want('a');
    await subscriber.stop();
    subscriber.want('b');
    expect(subscriber.linked).toBe(false);
    expect(events).toEqual(['restored']);
  });
});
