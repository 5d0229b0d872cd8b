import { describe, expect, it } from 'vitest';
import { AuthError, ClosedError, ConnectError, TokenError } from './errors.ts';
import { settle } from './testing/fake-runtime.ts';
import { Bench, LIMITS } from './testing/fake-socket.ts';
import type { Item, Publication } from './types.ts';

const CHANNEL = 'BTC.trade';

/** Short forms of items, for comparisons. */
function short(items: readonly unknown[]): unknown[] {
  return (items as Record<string, unknown>[]).map((item) => {
    if (item.kind === 'publication') return item.offset ?? 'plain';
    if (item.kind === 'gap') return `gap ${item.from}-${item.to} ${item.reason}`;
    if (item.kind === 'resync') return `resync ${item.reason}`;
    return item.kind;
  });
}

describe('a client', () => {
  it('connects when somebody reads, and ends the connection when nobody does', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    await bench.runtime.pass(60_000);
    expect(bench.sockets).toHaveLength(0);
    const subscription = channel.subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    expect(socket.protocols).toBe('tradewind.v1.json');
    await subscription.ready;
    subscription.unsubscribe();
    await bench.runtime.pass(2_499);
    expect(socket.requests('unsubscribe')).toHaveLength(0);
    await bench.runtime.pass(1);
    socket.released();
    await bench.runtime.pass(9_999);
    expect(bench.client.state.name).toBe('online');
    await bench.runtime.pass(1);
    expect(bench.client.state.name).toBe('idle');
    expect(socket.closedWith).toBe(1000);
    expect(bench.runtime.timers).toBe(0);
  });

  it('gives publications in order, once, with a gap in its place', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const messages = bench.collect(bench.client.channel(CHANNEL));
    const socket = await bench.live(CHANNEL);
    expect(socket.asked).toEqual([{ channel: CHANNEL }]);
    socket.publish(CHANNEL, 11);
    socket.publish(CHANNEL, 11);
    socket.tell({
      type: 'gap',
      channel: CHANNEL,
      epoch: 'e1',
      from: 12,
      to: 14,
      lost: 3,
      reason: 'slow',
    });
    socket.publish(CHANNEL, 15);
    await settle();
    expect(short(items.items)).toEqual([11, 'gap 12-14 slow', 15]);
    expect(short(messages.items)).toEqual([11, 15]);
    expect(messages.items[1]!.missed).toMatchObject({ count: 3, gaps: [{ from: 12, to: 14 }] });
    expect(bench.client.stats()).toMatchObject({ received: 3, duplicates: 1, gaps: { slow: 1 } });
  });

  it('tells a jump that no gap announced', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 13);
    await settle();
    expect(short(items.items)).toEqual(['gap 11-12 unannounced', 13]);
    expect(bench.events.gap).toHaveLength(1);
  });

  it('resumes behind what it has, and says that nothing was lost', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const first = await bench.live(CHANNEL);
    first.publish(CHANNEL, 11);
    first.ends();
    expect(bench.client.state).toMatchObject({ name: 'waiting', attempt: 0 });
    expect(bench.client.channel(CHANNEL).state.name).toBe('detached');
    await bench.runtime.pass(500);
    const second = await bench.accept();
    expect(second.asked).toEqual([{ channel: CHANNEL, since: { epoch: 'e1', offset: 11 } }]);
    second.answer(CHANNEL, { epoch: 'e1', offset: 13, recovered: true, replayed: 2 });
    expect(bench.client.channel(CHANNEL).state.name).toBe('recovering');
    second.publish(CHANNEL, 12);
    second.publish(CHANNEL, 13);
    second.publish(CHANNEL, 14);
    await settle();
    expect(short(items.items)).toEqual([11, 12, 13, 'recovered', 14]);
    expect(items.items.map((item) => 'replayed' in item && item.replayed)).toEqual([
      false,
      true,
      true,
      false,
      false,
    ]);
  });

  it('resumes where it is when a connection ends within a replay', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    (await bench.live(CHANNEL)).ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    second.answer(CHANNEL, { epoch: 'e1', offset: 13, recovered: true, replayed: 3 });
    second.publish(CHANNEL, 11);
    second.ends();
    await bench.runtime.pass(1_000);
    const third = await bench.accept();
    expect(third.asked[0]!.since).toEqual({ epoch: 'e1', offset: 11 });
    third.answer(CHANNEL, { epoch: 'e1', offset: 13, recovered: true, replayed: 2 });
    third.publish(CHANNEL, 12);
    third.publish(CHANNEL, 13);
    await settle();
    expect(short(items.items)).toEqual([11, 12, 13, 'recovered']);
  });

  it('tells exactly what history could not bring back', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    (await bench.live(CHANNEL)).ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    second.answer(CHANNEL, {
      ...{ epoch: 'e1', offset: 30, recovered: false, replayed: 0, reason: 'history_trimmed' },
    });
    second.publish(CHANNEL, 31);
    await settle();
    expect(short(items.items)).toEqual(['gap 11-30 away', 31]);
  });

  it('tells exactly what was lost before the history that was asked for', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL, { history: 2 });
    const items = bench.collect(channel.items());
    const first = await bench.accept();
    first.answer(CHANNEL, { epoch: 'e1', offset: 2, recovered: true, replayed: 2 });
    first.publish(CHANNEL, 1);
    first.publish(CHANNEL, 2);
    first.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    expect(second.asked[0]).toEqual({
      ...{ channel: CHANNEL, since: { epoch: 'e1', offset: 2 }, history: 2 },
    });
    second.answer(CHANNEL, { epoch: 'e1', offset: 30, recovered: false, replayed: 2 });
    second.publish(CHANNEL, 29);
    second.publish(CHANNEL, 30);
    await settle();
    expect(short(items.items)).toEqual([1, 2, 'gap 3-28 away', 29, 30]);
  });

  it('tells a new epoch before anything of it', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const first = await bench.live(CHANNEL);
    first.publish(CHANNEL, 11);
    first.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    second.answer(CHANNEL, {
      epoch: 'e2',
      offset: 1,
      recovered: false,
      replayed: 0,
      reason: 'epoch_changed',
    });
    second.publish(CHANNEL, 2);
    second.tell({
      type: 'resync',
      channel: CHANNEL,
      epoch: 'e3',
      offset: 0,
      reason: 'history_lost',
    });
    second.publish(CHANNEL, 1);
    await settle();
    expect(short(items.items)).toEqual([11, 'resync epoch_changed', 2, 'resync history_lost', 1]);
    expect(bench.client.channel(CHANNEL).position).toEqual({ epoch: 'e3', offset: 1 });
  });

  it('calls the first epoch of a channel a start', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.accept();
    socket.answer(CHANNEL);
    socket.publish(CHANNEL, undefined);
    socket.tell({
      type: 'resync',
      channel: CHANNEL,
      epoch: 'e1',
      offset: 0,
      reason: 'history_lost',
    });
    socket.publish(CHANNEL, 1);
    await settle();
    expect(short(items.items)).toEqual(['plain', 'resync started', 1]);
    expect((items.items[2] as { missed?: unknown }).missed).toBeUndefined();
  });

  it('subscribes once for any number of consumers, which see the same', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL, { history: 20 });
    const first = bench.collect(channel.messages());
    const socket = await bench.accept();
    const second = bench.collect(channel.messages());
    socket.answer(CHANNEL, { epoch: 'e1', offset: 2, recovered: true, replayed: 2 });
    for (const offset of [1, 2, 3]) socket.publish(CHANNEL, offset);
    await settle();
    const late = bench.collect(bench.client.channel(CHANNEL).messages());
    await settle();
    socket.publish(CHANNEL, 4);
    await settle();
    expect(short(first.items)).toEqual([1, 2, 3, 4]);
    expect(short(second.items)).toEqual([1, 2, 3, 4]);
    expect(short(late.items)).toEqual([1, 2, 3, 4]);
    expect(late.items.map(({ replayed }) => replayed)).toEqual([true, true, true, false]);
    expect(socket.requests('subscribe')).toHaveLength(1);
  });

  it('lets a consumer that comes while a connection is away begin where the others are', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const first = bench.collect(channel.messages());
    (await bench.live(CHANNEL)).ends();
    const second = bench.collect(channel.messages());
    await bench.runtime.pass(500);
    const socket = await bench.accept();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 11, recovered: true, replayed: 1 });
    socket.publish(CHANNEL, 11);
    await settle();
    expect(short(first.items)).toEqual([11]);
    expect(short(second.items)).toEqual([11]);
    expect(socket.requests('subscribe')).toHaveLength(1);
  });

  it('is one object a name, and refuses a name that cannot be one', () => {
    const { client } = new Bench();
    expect(client.channel(CHANNEL)).toBe(client.channel(CHANNEL));
    expect(() => client.channel('no spaces')).toThrow('bad_channel');
  });

  it('asks for many channels in requests of the announced size, eight at a time', async () => {
    const bench = new Bench();
    for (let i = 0; i < 2_000; i += 1) bench.client.channel(`c${i}`).subscribe(() => {});
    const socket = await bench.accept({ limits: { ...LIMITS, maxChannels: 5_000 } });
    expect(socket.requests('subscribe')).toHaveLength(8);
    let answered = 0;
    while (answered < socket.sent.length) {
      const { id, channels } = socket.sent[answered]!;
      expect(channels.length).toBeLessThanOrEqual(128);
      answered += 1;
      socket.tell({
        ...{ type: 'subscribed', id, done: true },
        channels: channels.map((channel) => ({ channel, ref: 1, epoch: 'e', offset: 1 })),
      });
      await settle();
    }
    expect(new Set(socket.asked.map(({ channel }) => channel)).size).toBe(2_000);
    expect(socket.asked).toHaveLength(2_000);
  });

  it('keeps a request within the largest message', async () => {
    const bench = new Bench();
    for (let i = 0; i < 40; i += 1)
      bench.client.channel(`c${i}`.padEnd(120, 'x')).subscribe(() => {});
    const socket = await bench.accept({ limits: { ...LIMITS, maxMessageBytes: 1_024 } });
    for (const message of socket.sent) {
      expect(JSON.stringify(message).length).toBeLessThanOrEqual(1_024);
    }
    expect(socket.sent.length).toBeGreaterThan(1);
  });

  it('fails what is beyond the limit of channels, and asks for it when there is room', async () => {
    const bench = new Bench();
    const subscriptions = ['a', 'b', 'c'].map((name) =>
      bench.client.channel(name).subscribe(() => {}),
    );
    const socket = await bench.accept({ limits: { ...LIMITS, maxChannels: 2 } });
    expect(socket.asked.map(({ channel }) => channel)).toEqual(['a', 'b']);
    expect(bench.client.channel('c').state).toMatchObject({
      ...{ name: 'failed', error: { code: 'too_many_channels' } },
    });
    await expect(subscriptions[2]!.ready).rejects.toMatchObject({ code: 'too_many_channels' });
    socket.answer('a', { epoch: 'e', offset: 1 });
    socket.tell({
      type: 'subscribed',
      id: socket.sent[0]!.id,
      channels: [{ channel: 'b', ref: 2 }],
      done: true,
    });
    subscriptions[0]!.unsubscribe();
    await bench.runtime.pass(2_500);
    socket.released();
    await settle();
    expect(socket.asked.at(-1)!.channel).toBe('c');
  });

  it('obeys the limits of the node that it comes back to', async () => {
    const bench = new Bench();
    for (const name of ['a', 'b', 'c', 'd']) {
      bench.client.channel(name, { history: 50 }).subscribe(() => {});
    }
    (await bench.accept()).ends();
    await bench.runtime.pass(500);
    const limits = { ...LIMITS, maxChannels: 3, maxChannelsPerRequest: 2, maxHistory: 10 };
    const socket = await bench.accept({ limits });
    expect(socket.requests('subscribe').map(({ channels }) => channels.length)).toEqual([2, 1]);
    expect(socket.asked).toEqual(['a', 'b', 'c'].map((channel) => ({ channel, history: 10 })));
    expect(bench.client.channel('d').state).toMatchObject({
      ...{ name: 'failed', error: { code: 'too_many_channels' } },
    });
  });

  it('asks again for what was rejected, when the node said', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept();
    socket.reject(CHANNEL, 'rate_limited', { retryAfterMs: 700 });
    expect(bench.client.channel(CHANNEL).state).toMatchObject({ name: 'retrying' });
    await bench.runtime.pass(699);
    expect(socket.asked).toHaveLength(1);
    await bench.runtime.pass(1);
    expect(socket.asked).toHaveLength(2);
  });

  it('ends the iterators of a channel that cannot be had', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.accept();
    socket.reject(CHANNEL, 'channel_not_allowed');
    await settle();
    expect(items.error).toMatchObject({
      code: 'channel_not_allowed',
      channel: CHANNEL,
      retryable: false,
    });
  });

  it('unsubscribes from what was given up while it was asked for', async () => {
    const bench = new Bench();
    const subscription = bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept();
    subscription.unsubscribe();
    await bench.runtime.pass(2_500);
    expect(socket.requests('unsubscribe')).toHaveLength(0);
    socket.answer(CHANNEL, { epoch: 'e1', offset: 1 });
    await settle();
    expect(socket.requests('unsubscribe')).toHaveLength(1);
    // Somebody wants it again before the node has let it go.
    bench.client.channel(CHANNEL).subscribe(() => {});
    await settle();
    expect(socket.asked).toHaveLength(1);
    socket.released();
    await settle();
    expect(socket.asked).toHaveLength(2);
  });

  it('ignores answers to nothing, and frames that it does not know', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    socket.tell({ type: 'news' });
    socket.tell({ type: 'subscribed', id: 99, channels: [{ channel: 'x', ref: 1 }], done: true });
    socket.publish('x', 1);
    expect(bench.client.state.name).toBe('online');
    expect(bench.client.stats().ignored).toBe(3);
  });

  it('isolates listeners that throw', async () => {
    const bench = new Bench();
    const seen: unknown[] = [];
    bench.client.channel(CHANNEL).subscribe(() => {
      throw new Error('of the application');
    });
    bench.client.channel(CHANNEL).subscribe(({ offset }) => seen.push(offset));
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 11);
    expect(seen).toEqual([11]);
    expect(bench.events.error).toMatchObject([{ code: 'listener_failed' }]);
  });

  it('leaves out what a schema refuses, and says so', async () => {
    const bench = new Bench();
    const schema = {
      '~standard': {
        ...{ version: 1 as const, vendor: 'test' },
        validate: (value: unknown) =>
          (value as { n: number }).n === 12
            ? { issues: [{ message: 'not twelve' }] }
            : { value: (value as { n: number }).n },
      },
    };
    const items = bench.collect(bench.client.channel(CHANNEL, { schema }).items());
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    await settle();
    expect(items.items.map((item) => 'data' in item && item.data)).toEqual([11, 13]);
    expect(bench.events.error).toMatchObject([{ code: 'invalid_data' }]);
    expect(bench.client.stats().invalid).toBe(1);
  });

  it('takes batches, and flushes them before a gap', async () => {
    const bench = new Bench();
    const calls: unknown[] = [];
    bench.client.channel(CHANNEL).subscribe({
      batch: (publications) => calls.push(publications.map(({ offset }) => offset)),
      gap: ({ from, to }) => calls.push(`${from}-${to}`),
    });
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 14]) socket.publish(CHANNEL, offset);
    await bench.runtime.pass(0);
    expect(calls).toEqual([[11, 12], '13-13', [14]]);
  });
});

describe('iterators', () => {
  it('end at once by break, return, throw and abort', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const other = bench.collect(channel.messages());
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const { offset } of channel) {
        seen.push(offset);
        break;
      }
    })();
    const abort = new AbortController();
    const aborted = channel.messages({ signal: abort.signal });
    const pending = aborted.next();
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 11);
    socket.publish(CHANNEL, 12);
    await loop;
    await pending;
    abort.abort('enough');
    await expect(aborted.next()).rejects.toBe('enough');
    expect(await aborted.next()).toEqual({ value: undefined, done: true });
    await bench.runtime.pass(10_000);
    expect(seen).toEqual([11]);
    expect(short(other.items)).toEqual([11, 12]);
    expect(socket.requests('unsubscribe')).toHaveLength(0);
  });

  it('stop a listener from its own body', async () => {
    const bench = new Bench();
    const seen: unknown[] = [];
    const subscription = bench.client.channel(CHANNEL).subscribe(({ offset }) => {
      seen.push(offset);
      subscription.unsubscribe();
    });
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 11);
    socket.publish(CHANNEL, 12);
    expect(seen).toEqual([11]);
  });

  it('pauses a channel that nobody reads fast enough, and continues without a loss', async () => {
    const bench = new Bench();
    const items = bench.client.channel(CHANNEL).items({ buffer: 4, overflow: 'pause' });
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13, 14]) socket.publish(CHANNEL, offset);
    await settle();
    expect(socket.requests('unsubscribe')).toHaveLength(1);
    socket.publish(CHANNEL, 15);
    socket.released();
    expect(bench.client.stats().buffered).toBe(4);
    await items.next();
    await items.next();
    await bench.runtime.pass(0);
    expect(socket.asked.at(-1)).toEqual({
      ...{ channel: CHANNEL, since: { epoch: 'e1', offset: 14 }, history: 1_000 },
    });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 15, recovered: true, replayed: 1 });
    socket.publish(CHANNEL, 15);
    const rest = [await items.next(), await items.next(), await items.next()];
    expect(short(rest.map(({ value }) => value))).toEqual([13, 14, 15]);
    expect(bench.events.gap).toEqual([]);
  });

  it('costs the others nothing when history does not reach back to a slow one', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const fast = bench.collect(channel.items());
    const slow = channel.items({ buffer: 4, overflow: 'pause' });
    const socket = await bench.live(CHANNEL);
    for (let offset = 11; offset <= 16; offset += 1) {
      socket.publish(CHANNEL, offset);
      await settle();
    }
    const seen = [await slow.next(), await slow.next()];
    await bench.runtime.pass(0);
    socket.released();
    await settle();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 18, recovered: false, replayed: 3 });
    for (const offset of [16, 17, 18]) socket.publish(CHANNEL, offset);
    for (let i = 0; i < 4; i += 1) seen.push(await slow.next());
    expect(short(seen.map(({ value }) => value))).toEqual([
      ...[11, 12, 13, 14, 'gap 15-15 trimmed', 16],
    ]);
    await settle();
    expect(short(fast.items)).toEqual([11, 12, 13, 14, 15, 16, 17, 18]);
  });

  it('tells each what it lacks itself when history reaches back to neither', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const fast = bench.collect(channel.items());
    const slow = channel.items({ buffer: 4, overflow: 'pause' });
    const socket = await bench.live(CHANNEL);
    for (let offset = 11; offset <= 16; offset += 1) {
      socket.publish(CHANNEL, offset);
      await settle();
    }
    const seen = [await slow.next(), await slow.next()];
    await bench.runtime.pass(0);
    socket.released();
    await settle();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 19, recovered: false, replayed: 1 });
    socket.publish(CHANNEL, 19);
    for (let i = 0; i < 4; i += 1) seen.push(await slow.next());
    expect(short(seen.map(({ value }) => value))).toEqual([
      ...[11, 12, 13, 14, 'gap 15-18 trimmed', 19],
    ]);
    await settle();
    expect(short(fast.items).slice(5)).toEqual([16, 'gap 17-18 trimmed', 19]);
    expect(bench.events.gap).toMatchObject([{ from: 17, to: 18, lost: 2 }]);
  });

  it('ends only the iterator whose key throws, and others get every offset, live and replayed', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const key = ({ data }: Publication<unknown>): string =>
      (data as { symbol: { id: string } }).symbol.id;
    const keyed = (): AsyncIterable<Item<unknown>> => channel.items({ overflow: 'latest', key });
    const data = { symbol: { id: 'BTC' } };
    const live = bench.collect(keyed());
    const others = [bench.collect(channel.items()), bench.collect(channel.items())];
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 11, data);
    socket.publish(CHANNEL, 12, {});
    socket.publish(CHANNEL, 13, data);
    await settle();
    expect(short(live.items)).toEqual([11]);
    expect(live.error).toMatchObject({ code: 'listener_failed', cause: expect.any(TypeError) });
    const replayed = bench.collect(keyed());
    socket.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    second.answer(CHANNEL, { epoch: 'e1', offset: 15, recovered: true, replayed: 2 });
    second.publish(CHANNEL, 14, {});
    second.publish(CHANNEL, 15, data);
    await settle();
    expect(replayed.error).toMatchObject({ code: 'listener_failed' });
    for (const { items } of others) expect(short(items)).toEqual([11, 12, 13, 14, 15, 'recovered']);
    expect(channel.state.name).toBe('live');
  });

  it('pauses for one consumer while another reads on, and neither loses anything', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const fast = bench.collect(channel.items());
    const slow = channel.items({ buffer: 2, overflow: 'pause' });
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    await settle();
    expect(socket.requests('unsubscribe')).toHaveLength(0);
    await slow.next();
    await bench.runtime.pass(0);
    expect(socket.requests('unsubscribe')).toHaveLength(1);
    socket.publish(CHANNEL, 14);
    socket.released();
    await settle();
    expect(socket.asked.at(-1)!.since).toEqual({ epoch: 'e1', offset: 12 });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 15, recovered: true, replayed: 3 });
    const seen = [(await slow.next()).value];
    for (const offset of [13, 14, 15]) {
      socket.publish(CHANNEL, offset);
      await settle();
    }
    seen.push((await slow.next()).value, (await slow.next()).value);
    expect(short(seen)).toEqual([12, 13, 14]);
    expect(short(fast.items)).toEqual([11, 12, 13, 14, 15]);
  });
});

describe('coming back', () => {
  it('waits longer after each failure, and begins anew after a stable connection', async () => {
    const bench = new Bench();
    bench.runtime.chance = 1;
    bench.client.channel(CHANNEL).subscribe(() => {});
    for (const [attempt, ms] of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].entries()) {
      await settle();
      bench.socket.ends();
      expect(bench.client.state).toMatchObject({ name: 'waiting', attempt });
      expect((bench.client.state as { cause: unknown }).cause).toBeInstanceOf(ConnectError);
      await bench.runtime.pass(ms - 1);
      expect(bench.client.state.name).toBe('waiting');
      await bench.runtime.pass(1);
    }
    await bench.accept();
    await bench.runtime.pass(10_000);
    bench.socket.ends();
    expect(bench.client.state).toMatchObject({ name: 'waiting', attempt: 0 });
  });

  it('does not begin anew after a connection that lived shortly', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await bench.accept();
      await bench.runtime.pass(1_000);
      bench.socket.ends();
      expect(bench.client.state).toMatchObject({ name: 'waiting', attempt });
      while (bench.sockets.length === attempt + 1) await bench.runtime.pass(500);
    }
  });

  it('spreads as wide as the server says when a node is lost', async () => {
    const bench = new Bench();
    bench.runtime.chance = 1;
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept({ reconnect: { spreadMs: 5_000 } });
    const before = bench.runtime.now();
    socket.ends();
    expect(bench.client.state).toMatchObject({ name: 'waiting', retryAt: before + 5_000 });
  });

  it.each([
    [1012, 'waiting'],
    [4008, 'waiting'],
    [4350, 'waiting'],
    [4402, 'waiting'],
    [1009, 'closed'],
    [4450, 'closed'],
    [1000, 'closed'],
  ])('after the code %i is %s', async (code, name) => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    (await bench.live(CHANNEL)).ends(code);
    await settle();
    expect(bench.client.state.name).toBe(name);
    expect(items.isDone).toBe(name === 'closed');
    if (name === 'closed') expect(items.error).toMatchObject({ closeCode: code });
  });

  it('gives an attempt up after its time, and closes a socket that opens late', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    await settle();
    const [late] = bench.sockets;
    late!.answersClose = false;
    await bench.runtime.pass(15_000);
    expect(bench.client.state).toMatchObject({ name: 'waiting' });
    late!.closedWith = undefined;
    late!.opens();
    expect(late!.closedWith).toBe(1000);
    late!.tell({ type: 'welcome' });
    expect(bench.client.state.name).toBe('waiting');
  });

  it('connects once more after a frame that is no JSON, and then ends', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    (await bench.accept()).tellText('{');
    expect(bench.client.state.name).toBe('waiting');
    await bench.runtime.pass(1_000);
    (await bench.accept()).tellText('{');
    expect(bench.client.state).toMatchObject({ name: 'closed', error: { code: 'protocol_error' } });
  });

  it('takes a connection for dead that answers no ping', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    socket.answersClose = false;
    await bench.runtime.pass(20_000);
    expect(socket.requests('ping')).toHaveLength(1);
    socket.tell({ type: 'pong', id: 1, serverTime: bench.runtime.now() });
    await bench.runtime.pass(20_000);
    expect(socket.requests('ping')).toHaveLength(2);
    await bench.runtime.pass(9_999);
    expect(bench.client.state.name).toBe('online');
    await bench.runtime.pass(1);
    expect(bench.client.state).toMatchObject({ name: 'waiting', cause: { closeCode: 1006 } });
  });

  it('probes within a second of a wake-up instead of judging what was asked before', async () => {
    for (const wallOnly of [false, true]) {
      const bench = new Bench();
      bench.client.channel(CHANNEL).subscribe(() => {});
      const socket = await bench.live(CHANNEL);
      await bench.runtime.pass(500);
      await bench.runtime.sleep(120_000, wallOnly);
      await bench.runtime.pass(1_000);
      expect(socket.requests('ping')).toHaveLength(1);
      expect(bench.client.state.name).toBe('online');
      await bench.runtime.pass(3_000);
      expect(bench.events.state.map(({ state }) => state.name)).toContain('waiting');
    }
  });

  it('rejects and ends when its signal is aborted, whatever it waits for', async () => {
    for (const waitMs of [0, 15_000]) {
      const abort = new AbortController();
      const bench = new Bench({ signal: abort.signal });
      const ready = bench.client.ready();
      const items = bench.collect(bench.client.channel(CHANNEL).items());
      await bench.runtime.pass(waitMs);
      abort.abort('enough');
      await expect(ready).rejects.toBe('enough');
      await settle();
      expect(items.error).toBe('enough');
      expect(bench.client.state.name).toBe('closed');
      expect(bench.runtime.timers).toBe(0);
      expect(() => bench.client.channel(CHANNEL).items()).toThrow(ClosedError);
    }
  });

  it('closes within a second of a server that does not answer', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.live(CHANNEL);
    socket.answersClose = false;
    let isClosed = false;
    void bench.client.close().then(() => {
      isClosed = true;
    });
    await bench.runtime.pass(999);
    expect([isClosed, items.isDone, items.error]).toEqual([false, true, undefined]);
    await bench.runtime.pass(1);
    expect(isClosed).toBe(true);
    expect(bench.runtime.timers).toBe(0);
  });
});

describe('moving to another node', () => {
  const NOTICE = { type: 'reconnect', afterMs: 1_000, deadlineMs: 20_000, reason: 'draining' };

  it('opens the new connection at afterMs, and leaves the old one when the new one has all', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    expect(bench.client.state).toMatchObject({
      name: 'online',
      leaving: { deadline: expect.any(Number) },
    });
    await bench.runtime.pass(999);
    expect(bench.sockets).toHaveLength(1);
    await bench.runtime.pass(1);
    old.publish(CHANNEL, 11);
    const next = await bench.accept();
    expect(next.asked).toEqual([{ channel: CHANNEL, since: { epoch: 'e1', offset: 11 } }]);
    old.publish(CHANNEL, 12);
    next.answer(CHANNEL, { epoch: 'e1', offset: 13, recovered: true, replayed: 2 });
    old.publish(CHANNEL, 13);
    next.publish(CHANNEL, 12);
    expect(old.closedWith).toBeUndefined();
    next.publish(CHANNEL, 13);
    expect(old.closedWith).toBe(1000);
    next.publish(CHANNEL, 14);
    await settle();
    expect(short(items.items)).toEqual([11, 12, 13, 14]);
    expect(bench.client.state).not.toHaveProperty('leaving');
    expect(bench.events.gap).toEqual([]);
  });

  it('goes on with the old connection when the new one fails before or within the move', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    bench.socket.ends();
    old.publish(CHANNEL, 11);
    expect(bench.client.state.name).toBe('online');
    await bench.runtime.pass(1_000);
    const second = await bench.accept();
    second.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 1 });
    second.ends();
    old.publish(CHANNEL, 12);
    expect(bench.client.state.name).toBe('online');
    await bench.runtime.pass(2_000);
    const third = await bench.accept();
    expect(third.asked[0]!.since).toEqual({ epoch: 'e1', offset: 12 });
    third.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 0 });
    expect(old.closedWith).toBe(1000);
    third.publish(CHANNEL, 13);
    await settle();
    expect(short(items.items)).toEqual([11, 12, 13]);
  });

  it('goes on opening when the old connection ends first', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    old.ends(1012);
    expect(bench.client.state.name).toBe('connecting');
    const next = await bench.accept();
    next.answer(CHANNEL, { epoch: 'e1', offset: 11, recovered: true, replayed: 1 });
    next.publish(CHANNEL, 11);
    await settle();
    expect(short(items.items)).toEqual([11, 'recovered']);
  });

  it('waits for the answers that the old connection owes before it asks the new one', async () => {
    const bench = new Bench();
    bench.client.channel('a').subscribe(() => {});
    bench.client.channel('b').subscribe(() => {});
    const old = await bench.accept();
    old.answer('a', { epoch: 'e1', offset: 5 }, false);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const next = await bench.accept();
    expect(next.asked).toEqual([{ channel: 'a', since: { epoch: 'e1', offset: 5 } }]);
    old.answer('b', { epoch: 'e1', offset: 7 });
    await settle();
    expect(next.asked[1]).toEqual({ channel: 'b', since: { epoch: 'e1', offset: 7 } });
    next.answer('a', { epoch: 'e1', offset: 5, recovered: true, replayed: 0 });
    expect(old.closedWith).toBeUndefined();
    next.answer('b', { epoch: 'e1', offset: 7, recovered: true, replayed: 0 });
    expect(old.closedWith).toBe(1000);
  });

  it('leaves a channel without offsets before it asks for it, and tells a gap', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.accept();
    old.answer(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const next = await bench.accept();
    expect(next.asked).toEqual([]);
    expect(old.requests('unsubscribe')).toHaveLength(1);
    old.publish(CHANNEL, undefined);
    old.released();
    await settle();
    next.answer(CHANNEL);
    next.publish(CHANNEL, undefined);
    await settle();
    expect(short(items.items)).toEqual(['plain', 'gap undefined-undefined handover', 'plain']);
    expect(old.closedWith).toBe(1000);
  });

  it('tells what neither connection brought', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const next = await bench.accept();
    next.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 2 });
    // The new connection would bring these, and dies.
    old.tell({
      type: 'gap',
      channel: CHANNEL,
      epoch: 'e1',
      from: 11,
      to: 12,
      lost: 2,
      reason: 'slow',
    });
    old.publish(CHANNEL, 13);
    next.ends();
    old.publish(CHANNEL, 14);
    await settle();
    expect(short(items.items)).toEqual(['gap 11-13 handover', 14]);
  });

  const entering = (epoch: string) =>
    ({ type: 'resync', channel: CHANNEL, epoch, offset: 0, reason: 'history_lost' }) as const;

  it('enters an epoch once, though the new connection is told of it later', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const next = await bench.accept();
    old.tell(entering('e2'));
    for (const offset of [1, 2]) old.publish(CHANNEL, offset);
    next.answer(CHANNEL, { epoch: 'e1', offset: 11, recovered: true, replayed: 1 });
    next.publish(CHANNEL, 11);
    next.publish(CHANNEL, 12);
    next.tell({ ...{ type: 'gap', channel: CHANNEL, epoch: 'e1' }, from: 13, to: 14 });
    next.tell(entering('e2'));
    for (const offset of [1, 2, 3]) next.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual(['resync history_lost', 1, 2, 3]);
    expect(bench.events.resync).toHaveLength(1);
    expect(old.closedWith).toBe(1000);
  });

  it.each([
    { offset: 1, sent: [2, 3, 4], expected: [3, 4] },
    { offset: 2, sent: [3, 4], expected: [3, 4] },
    { offset: 4, sent: [5], expected: ['gap 3-4 handover', 5] },
  ])('goes on in an epoch of which the new node has $offset', async (answer) => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const next = await bench.accept();
    old.tell(entering('e2'));
    for (const offset of [1, 2]) old.publish(CHANNEL, offset);
    const fields = { recovered: false, replayed: 0, reason: 'epoch_changed' };
    next.answer(CHANNEL, { epoch: 'e2', offset: answer.offset, ...fields });
    for (const offset of answer.sent) next.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual(['resync history_lost', 1, 2, ...answer.expected]);
  });

  it('enters an epoch once, though it goes back to the connection that is behind', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    bench.client.channel('b').subscribe(() => {});
    const old = await bench.live(CHANNEL);
    old.answer('b', { epoch: 'e1', offset: 5 });
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const next = await bench.accept();
    next.answer(CHANNEL, { epoch: 'e1', offset: 10, recovered: true, replayed: 0 }, false);
    next.tell(entering('e2'));
    for (const offset of [1, 2]) next.publish(CHANNEL, offset);
    next.ends();
    old.tell(entering('e2'));
    for (const offset of [1, 2, 3]) old.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual(['resync history_lost', 1, 2, 3]);
  });

  it('loses nothing for a consumer that was paused when the epoch ended', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const fast = bench.collect(channel.items());
    const slow = channel.items({ buffer: 2, overflow: 'pause' });
    const old = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13]) old.publish(CHANNEL, offset);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const seen = [(await slow.next()).value];
    const next = await bench.accept();
    expect(next.asked.at(-1)!.since).toEqual({ epoch: 'e1', offset: 12 });
    old.tell(entering('e2'));
    for (const offset of [1, 2]) old.publish(CHANNEL, offset);
    next.answer(CHANNEL, { epoch: 'e1', offset: 13, recovered: true, replayed: 1 });
    next.publish(CHANNEL, 13);
    next.tell(entering('e2'));
    for (const offset of [1, 2, 3]) next.publish(CHANNEL, offset);
    await bench.runtime.pass(1_000);
    next.released();
    await settle();
    expect(next.asked.at(-1)!.since).toEqual({ epoch: 'e2', offset: 0 });
    next.answer(CHANNEL, { epoch: 'e2', offset: 3, recovered: true, replayed: 3 });
    for (const offset of [1, 2, 3]) {
      next.publish(CHANNEL, offset);
      seen.push((await slow.next()).value);
    }
    expect(short(seen)).toEqual([11, 12, 'resync history_lost', 1]);
    expect(short(fast.items)).toEqual([11, 12, 13, 'resync history_lost', 1, 2, 3]);
  });

  it('goes on behind its own offset at a node that is behind and cannot look', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const first = await bench.live(CHANNEL);
    first.publish(CHANNEL, 11);
    first.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    const fields = { recovered: false, replayed: 0, reason: 'unavailable' };
    second.answer(CHANNEL, { epoch: 'e1', offset: 9, ...fields });
    for (const offset of [10, 11, 12]) second.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual([11, 12]);
  });

  it('moves again after a move that the first connection did not live to see', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    old.ends(1012);
    const next = await bench.accept();
    next.answer(CHANNEL, { epoch: 'e1', offset: 10, recovered: true, replayed: 0 });
    expect(bench.client.state).not.toHaveProperty('leaving');
    next.tell(NOTICE);
    await bench.runtime.pass(1_000);
    expect(bench.sockets).toHaveLength(3);
  });

  it('leaves the old connection at its deadline', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const old = await bench.live(CHANNEL);
    old.tell(NOTICE);
    await bench.runtime.pass(1_000);
    const next = await bench.accept();
    next.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 2 });
    await bench.runtime.pass(18_999);
    expect(old.closedWith).toBeUndefined();
    await bench.runtime.pass(1);
    expect(old.closedWith).toBe(1000);
    expect(bench.sockets.filter(({ readyState }) => readyState < 2)).toHaveLength(1);
  });
});

describe('tokens', () => {
  const AUTH = { auth: 'required' };

  it('are fetched before a socket is opened, and sent before anything else', async () => {
    const contexts: unknown[] = [];
    const bench = new Bench({
      token: ({ reason, attempt }) => {
        contexts.push([reason, attempt]);
        return 'jwt';
      },
    });
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept(AUTH);
    expect(socket.sent).toMatchObject([{ type: 'auth', token: 'jwt' }]);
    socket.tell({
      type: 'authenticated',
      id: socket.sent[0]!.id,
      subject: 'u1',
      expiresInMs: 100_000,
    });
    await settle();
    expect(bench.client.state).toMatchObject({ session: { subject: 'u1' } });
    expect(socket.asked).toHaveLength(1);
    for (let passed = 0; passed < 80_000; passed += 10_000) {
      socket.publish(CHANNEL, undefined);
      await bench.runtime.pass(10_000);
    }
    expect(socket.requests('auth')).toHaveLength(2);
    expect(contexts).toEqual([
      ['connect', 0],
      ['expiring', 0],
    ]);
  });

  it('may fail three times', async () => {
    const attempts: unknown[] = [];
    const bench = new Bench({
      token: ({ reason, attempt }) => {
        attempts.push(`${reason} ${attempt}`);
        if (attempt < 3) throw new Error('no network');
        return 'jwt';
      },
    });
    bench.client.channel(CHANNEL).subscribe(() => {});
    await settle();
    expect(bench.client.state).toMatchObject({ name: 'waiting', cause: { code: 'token_failed' } });
    await bench.runtime.pass(10_000);
    await bench.accept(AUTH);
    expect(attempts).toEqual(['connect 0', 'connect 1', 'connect 2', 'connect 3']);
    expect(bench.sockets).toHaveLength(1);
  });

  it('that come too late are not used', async () => {
    const late: ((token: string) => void)[] = [];
    const bench = new Bench({ token: () => new Promise((resolve) => late.push(resolve)) });
    bench.client.channel(CHANNEL).subscribe(() => {});
    await bench.runtime.pass(10_000);
    const { cause } = bench.client.state as { cause: unknown };
    expect(cause).toBeInstanceOf(TokenError);
    late[0]!('old');
    await settle();
    expect(bench.sockets).toHaveLength(0);
  });

  it('that were refused are fetched once more, and then the client ends', async () => {
    const reasons: string[] = [];
    const bench = new Bench({
      token: ({ reason }) => {
        reasons.push(reason);
        return 'jwt';
      },
    });
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    for (const code of ['unauthorized', 'unauthorized']) {
      const socket = await bench.accept(AUTH);
      socket.tell({ type: 'error', id: 1, code, message: '', retryable: false });
      socket.ends(4401);
      await bench.runtime.pass(2_000);
    }
    expect(reasons).toEqual(['connect', 'refused']);
    expect(bench.client.state).toMatchObject({ name: 'closed' });
    expect(items.error).toBeInstanceOf(AuthError);
  });

  it('that expired are fetched again, and the channel is resumed', async () => {
    const bench = new Bench({ token: () => 'jwt' });
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const first = await bench.accept(AUTH);
    first.tell({ type: 'authenticated', id: 1, subject: 'u1', expiresInMs: 60_000 });
    await settle();
    first.answer(CHANNEL, { epoch: 'e1', offset: 1 });
    first.ends(4402);
    await bench.runtime.pass(1_000);
    const second = await bench.accept(AUTH);
    second.tell({ type: 'authenticated', id: 1, subject: 'u1', expiresInMs: 60_000 });
    await settle();
    expect(second.asked[0]!.since).toEqual({ epoch: 'e1', offset: 1 });
    expect(items.isDone).toBe(false);
  });

  it('may have ended when a channel is asked for: it is asked for again, and not given up', async () => {
    const bench = new Bench({ token: () => 'jwt' });
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.accept(AUTH);
    const authenticated = { type: 'authenticated', subject: 'u1', expiresInMs: 60_000 };
    socket.tell({ ...authenticated, id: 1 });
    await settle();
    const { id } = socket.requests('subscribe').at(-1)!;
    socket.tell({ type: 'error', id, code: 'token_expired', message: '', retryable: false });
    expect(bench.client.channel(CHANNEL).state).toMatchObject({
      ...{ name: 'retrying', error: { code: 'token_expired' } },
    });
    socket.tell({ ...authenticated, id: 2 });
    await bench.runtime.pass(1_000);
    expect(socket.asked).toHaveLength(2);
    expect(items.isDone).toBe(false);
  });

  it('are needed where the node asks for one', async () => {
    const bench = new Bench();
    const refused = expect(bench.client.ready()).rejects.toBeInstanceOf(AuthError);
    await bench.accept(AUTH);
    await refused;
  });
});

describe('a page', () => {
  it('probes when it becomes visible, and does not believe `offline` alone', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    bench.runtime.page.fire('offline');
    expect(socket.requests('ping')).toHaveLength(1);
    socket.tell({ type: 'pong', id: 1, serverTime: bench.runtime.now() });
    await bench.runtime.pass(3_000);
    expect(bench.client.state.name).toBe('online');
    bench.runtime.page.fire('focus');
    expect(socket.requests('ping')).toHaveLength(2);
  });

  it('pauses when the probe after `offline` fails, and connects at `online`', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    await bench.live(CHANNEL);
    bench.runtime.page.fire('offline');
    await bench.runtime.pass(3_000);
    expect(bench.client.state).toEqual({ name: 'paused', why: 'offline' });
    await bench.runtime.pass(600_000);
    expect(bench.sockets).toHaveLength(1);
    bench.runtime.page.fire('online');
    expect(bench.client.state.name).toBe('connecting');
    await settle();
    expect(bench.sockets).toHaveLength(2);
  });

  it.each(['resume', 'pageshow', 'focus', 'visibilitychange'])('thaws at %s', async (type) => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    (await bench.live(CHANNEL)).publish(CHANNEL, 11);
    bench.runtime.page.fire('freeze');
    expect(bench.client.state).toEqual({ name: 'paused', why: 'frozen' });
    await bench.runtime.sleep(90_000);
    bench.runtime.page.fire(type);
    const socket = await bench.accept();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 5_011, recovered: false, replayed: 0 });
    await settle();
    expect(short(items.items)).toEqual([11, 'gap 12-5011 away']);
  });

  it('that was paused by the application is not resumed by an event', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    await bench.live(CHANNEL);
    bench.client.pause();
    for (const type of ['online', 'focus', 'visibilitychange', 'resume'])
      bench.runtime.page.fire(type);
    expect(bench.client.state).toEqual({ name: 'paused', why: 'asked' });
    bench.client.resume();
    expect(bench.client.state.name).toBe('connecting');
  });

  it('pauses after it was hidden for a while, if it should', async () => {
    const bench = new Bench({ hidden: 'pause' });
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    bench.runtime.page.hidden = true;
    bench.runtime.page.fire('visibilitychange');
    for (let passed = 0; passed < 60_000; passed += 10_000) {
      expect(bench.client.state.name).toBe('online');
      socket.publish(CHANNEL, undefined);
      await bench.runtime.pass(10_000);
    }
    expect(bench.client.state).toEqual({ name: 'paused', why: 'hidden' });
    bench.runtime.page.fire('online');
    expect(bench.client.state.name).toBe('paused');
    bench.runtime.page.hidden = false;
    bench.runtime.page.fire('visibilitychange');
    expect(bench.client.state.name).toBe('connecting');
  });

  it('saves what was used, and another one continues there', async () => {
    const kept = new Map<string, unknown>();
    const positions = {
      load: (channel: string) => kept.get(channel) as never,
      save: (changed: ReadonlyMap<string, unknown>) => {
        for (const [channel, position] of changed) kept.set(channel, position);
      },
    };
    const bench = new Bench({ positions });
    const items = bench.client.channel(CHANNEL).items();
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    await items.next();
    bench.runtime.page.fire('pagehide');
    expect(kept.get(CHANNEL)).toEqual({ epoch: 'e1', offset: 11 });

    const next = new Bench({ positions });
    const rest = next.collect(next.client.channel(CHANNEL).items());
    const second = await next.accept();
    expect(second.asked[0]!.since).toEqual({ epoch: 'e1', offset: 11 });
    second.answer(CHANNEL, {
      epoch: 'e2',
      offset: 3,
      recovered: false,
      replayed: 0,
      reason: 'epoch_changed',
    });
    second.publish(CHANNEL, 4);
    await next.runtime.pass(1_000);
    expect(short(rest.items)).toEqual(['resync epoch_changed', 4]);
    expect(kept.get(CHANNEL)).toEqual({ epoch: 'e2', offset: 4 });
  });
});
