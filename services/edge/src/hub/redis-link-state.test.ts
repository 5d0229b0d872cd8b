import { describe, expect, it } from 'vitest';
import { type LinkedChannel, RedisLinkState } from './redis-link-state.ts';

const NOW = 1_795_416_898_000;

interface NamedChannel extends LinkedChannel {
  readonly name: string;
}

/** A link for which the test answers as Redis, and the channels that it relinks, one line each. */
class LinkUnderTest {
  readonly relinked: string[] = [];
  readonly reads: PromiseWithResolvers<string | undefined>[] = [];
  readonly link: RedisLinkState<NamedChannel>;

  constructor() {
    this.link = new RedisLinkState(
      () => {
        const read = Promise.withResolvers<string | undefined>();
        this.reads.push(read);
        return read.promise;
      },
      ({ name }, isSameServer) =>
        this.relinked.push(`${name} ${isSameServer ? 'same' : 'another'}`),
      NOW,
    );
  }

  /** Up, on this server, with one channel. */
  static async on(server: string | undefined): Promise<LinkUnderTest & { a: NamedChannel }> {
    const under = new LinkUnderTest();
    const a = channel('a');
    under.link.markUp(NOW);
    under.link.add(a);
    under.link.identifyServer();
    await under.answer(server);
    return Object.assign(under, { a });
  }

  async answer(server: string | undefined): Promise<void> {
    this.reads.at(-1)!.resolve(server);
    await Promise.resolve();
  }
}

function channel(name: string): NamedChannel {
  return { name, server: undefined };
}

describe('RedisLinkState: whether the link is up', () => {
  it('says since when it is not: since the first loss, until it is up again', () => {
    const { link } = new LinkUnderTest();
    expect(link).toMatchObject({ degradedSince: NOW, wasEverUp: false });
    expect(link.markLost(NOW + 1), 'it never was').toBe(false);
    expect(link.markUp(NOW + 10)).toEqual({ afterMs: 10, isFirst: true });
    expect(link.markUp(NOW + 20), 'it is').toBeUndefined();
    expect(link.markLost(NOW + 30)).toBe(true);
    expect(link.markLost(NOW + 40)).toBe(false);
    expect(link).toMatchObject({ degradedSince: NOW + 30, wasEverUp: true });
    expect(link.markUp(NOW + 50)).toEqual({ afterMs: 20, isFirst: false });
  });
});

describe('RedisLinkState: the server', () => {
  it('is asked for once a link, and is known of all channels that are subscribed', async () => {
    const under = await LinkUnderTest.on('one');
    under.link.identifyServer();
    expect(under.reads).toHaveLength(1);
    const later = channel('later');
    under.link.add(later);
    expect([under.a.server, later.server]).toEqual(['one', 'one']);
  });

  it.each([
    ['the same', 'one', 'one', 'a same'],
    ['another', 'one', 'two', 'a another'],
    ['one that does not tell', 'one', undefined, 'a another'],
    ['one that never told', undefined, undefined, 'a another'],
  ])('decides what is relinked, and after it is known: %s', async (_, before, after, line) => {
    const under = await LinkUnderTest.on(before);
    under.link.markLost(NOW);
    under.link.addAgain(under.a);
    under.link.identifyServer();
    expect(under.relinked).toEqual([]);
    await under.answer(after);
    expect(under.relinked).toEqual([line]);
    expect(under.a.server).toBe(after);
  });

  it('is the one that a channel was read from last, although it has missed links since', async () => {
    const under = await LinkUnderTest.on('one');
    under.link.markLost(NOW);
    under.link.identifyServer();
    await under.answer('two');
    under.link.markLost(NOW);
    under.link.addAgain(under.a);
    under.link.identifyServer();
    await under.answer('one');
    expect(under.relinked).toEqual(['a same']);
  });

  it('is not learned from an answer of a link that was lost since', async () => {
    const under = await LinkUnderTest.on('one');
    under.link.markLost(NOW);
    under.link.addAgain(under.a);
    under.link.identifyServer();
    under.link.markLost(NOW);
    await under.answer('two');
    expect(under.relinked).toEqual([]);
    expect(under.a.server).toBe('one');
  });

  it('counts as another one when Redis cannot be asked', async () => {
    const under = await LinkUnderTest.on('one');
    under.link.markLost(NOW);
    under.link.addAgain(under.a);
    under.link.identifyServer();
    under.reads.at(-1)!.reject(new Error('gone'));
    await new Promise(setImmediate);
    expect(under.relinked).toEqual(['a another']);
  });

  it('does not matter to a channel that is let go meanwhile', async () => {
    const under = await LinkUnderTest.on('one');
    under.link.markLost(NOW);
    under.link.addAgain(under.a);
    under.link.identifyServer();
    under.link.forget(under.a);
    await under.answer('one');
    expect(under.relinked).toEqual([]);
  });
});
