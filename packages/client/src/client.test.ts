import { describe, expect, it } from 'vitest';
import { settle } from './testing/fake-runtime.ts';
import { Bench, LIMITS } from './testing/fake-socket.ts';
import { short } from './testing/short-items.ts';

const CHANNEL = 'BTC.trade';

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
    socket.answer('a', { epoch: 'e', offset: 1 }, false);
    socket.answer('b');
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
