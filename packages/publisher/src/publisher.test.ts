import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PublishError } from './publish-error.ts';
import { createPublisher } from './publisher.ts';
import type { RedisArgument } from './redis-connection.ts';

/** A Redis that answers publishing calls by `answer`, in their order. */
function fakeRedis(answer: (words: readonly RedisArgument[], call: number) => unknown) {
  const calls: (readonly RedisArgument[])[] = [];
  const send = async (words: readonly RedisArgument[]): Promise<unknown> => {
    if (words[0] === 'time') return ['1800000000', '500000'];
    calls.push(words);
    return await answer(words, calls.length);
  };
  return { calls, send };
}

const PUBLISHED = ['k3x9', 1, 0];

describe('createPublisher', () => {
  it('refuses a window that a repetition could outlast', () => {
    expect(() => createPublisher(fakeRedis(() => PUBLISHED).send, { keyWindowMs: 5_000 })).toThrow(
      RangeError,
    );
  });

  it('tells Redis the deadline on its own clock', async () => {
    const { calls, send } = fakeRedis(() => PUBLISHED);
    await createPublisher(send).publish('a', '1', { deadlineMs: 2_000 });
    const lateMs = Number(calls[0]!.at(-1)) - 1_800_000_002_500;
    expect(Math.abs(lateMs)).toBeLessThan(1_500);
  });

  it('reads answers as bytes, big integers and text', async () => {
    const { send } = fakeRedis(() => [Buffer.from('k3x9'), 7n, '1']);
    const published = await createPublisher(send).publish('a', '1');
    expect(published).toEqual({ epoch: 'k3x9', offset: 7, duplicate: true });
  });

  it.each([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a big integer', { size: 1n }],
    ['half a surrogate pair', '\ud83d'],
  ])('refuses %s as a payload', async (_, data) => {
    const { calls, send } = fakeRedis(() => PUBLISHED);
    const [result] = await createPublisher(send).publishMany([
      { channel: 'a', data: data as object },
    ]);
    expect(result).toMatchObject({ ok: false, error: { code: 'BAD_PAYLOAD', published: 'no' } });
    expect(calls).toEqual([]);
  });

  it('refuses a key or channel that is no text', async () => {
    const { calls, send } = fakeRedis(() => PUBLISHED);
    const publications = [
      { channel: 'a', data: '1', key: 7 as unknown as string },
      { channel: undefined as unknown as string, data: '1' },
    ];
    const results = await createPublisher(send).publishMany(publications);
    expect(results).toMatchObject([
      { error: { code: 'BAD_KEY' } },
      { error: { code: 'BAD_CHANNEL' } },
    ]);
    expect(calls).toEqual([]);
  });

  it('keeps the payload out of the error, and has the key for a repetition', async () => {
    const { send } = fakeRedis(() => {
      const error = new Error('NOPERM this user may not PUBLISH to a');
      throw Object.assign(error, { command: { name: 'evalsha', args: ['secret'] } });
    });
    const error = await createPublisher(send)
      .publish('a', 'secret', { key: 'k' })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PublishError);
    expect(error).toMatchObject({ channel: 'a', key: 'k', retryable: false, published: 'no' });
    expect(JSON.stringify({ ...(error as object), text: String(error) })).not.toContain('secret');
  });

  it('says unknown for as long as one try may have been executed, but for TWLATE', async () => {
    const failing = (last: string) =>
      fakeRedis((_, call) => {
        throw new Error(call === 1 ? 'Socket closed unexpectedly' : last);
      }).send;
    const options = { deadlineMs: 1_000 };
    const publish = async (last: string) =>
      await createPublisher(failing(last))
        .publish('a', '1', options)
        .catch((error: unknown) => error);
    expect(await publish('LOADING x')).toMatchObject({ code: 'LOADING', published: 'unknown' });
    expect(await publish('TWARG x')).toMatchObject({ code: 'TWARG', published: 'unknown' });
    expect(await publish('TWLATE x')).toMatchObject({ code: 'TWLATE', published: 'no' });
  });

  it('gives up a call that is never answered', async () => {
    const { send } = fakeRedis(() => new Promise(() => {}));
    const error = await createPublisher(send)
      .publish('a', '1', { deadlineMs: 50 })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true, published: 'unknown' });
  });

  it('calls the function for calls that were refused side by side', async () => {
    const { calls, send } = fakeRedis(async ([name]) => {
      await sleep(1);
      if (name !== 'fcall')
        throw new Error("NOPERM User x has no permissions to run the 'evalsha' command");
      return PUBLISHED;
    });
    const publisher = createPublisher(send);
    await Promise.all([publisher.publish('a', '1'), publisher.publish('b', '1')]);
    expect(calls.map(([name]) => name)).toEqual(['evalsha', 'evalsha', 'fcall', 'fcall']);
  });
});
