import { describe, expect, it } from 'vitest';
import { TIMEOUT_MS, until } from './testing/deadline.ts';
import { publicationOf, publicationsOf } from './testing/fake-upstream.ts';
import { type FakeClient, FanOutUnderTest } from './testing/fan-out-under-test.ts';
import { LIMITS } from './testing/test-connection.ts';

const EPOCH = 'k3x9';

function resume(client: FakeClient, offset: number, epoch = EPOCH, history?: number): void {
  const since = { epoch, offset };
  client.request({ type: 'subscribe', channels: [{ channel: 'a', since, history }] });
}

/** Publications from these offsets on come on the feed, both inclusive. */
function publish({ upstream }: FanOutUnderTest, from: number, to: number, data?: string): void {
  for (const { offset } of publicationsOf('a', from, to)) {
    upstream.publish('a', data ?? offset, offset);
  }
}

function numbers(from: number, to: number): number[] {
  return publicationsOf('a', from, to).map(({ offset }) => offset);
}

/** The frames of a client in short: the answer, offsets, gaps and new epochs. */
function story(client: FakeClient): string[] {
  client.flush();
  return client.received.flatMap((one) => {
    if (one.type === undefined) return [`${one.offset}`];
    if (one.type === 'gap') return [`gap ${one.epoch} ${one.from}..${one.to} ${one.reason}`];
    if (one.type === 'resync') return [`resync ${one.epoch} ${one.offset}`];
    return one.type === 'subscribed' ? ['answer'] : [];
  });
}

describe('FanOut: replay', { timeout: TIMEOUT_MS }, () => {
  it('sends the answer, then what was missed, then what is new', () => {
    using server = new FanOutUnderTest();
    const client = server.client();
    resume(client, 7);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 10 });
    expect(server.upstream.calls).toEqual(['+a', '?a 8']);
    expect(client.answers()).toEqual([]);
    server.upstream.answer('a', EPOCH, publicationsOf('a', 8, 10));
    publish(server, 11, 12);
    expect(client.answers()).toMatchObject([{ offset: 10, recovered: true, replayed: 3 }]);
    expect(story(client)).toEqual(['answer', '8', '9', '10', '11', '12']);
    expect(client.received.filter(({ seq }) => seq).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  it('tells undeliverable publications as gaps in their place, and recovers', () => {
    using server = new FanOutUnderTest();
    const client = server.client();
    resume(client, 7);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 14 });
    const publications = [8, 11, 12, 14].flatMap((offset) => publicationsOf('a', offset, offset));
    server.upstream.answer('a', EPOCH, publications, undefined, [
      { from: 9, to: 10, reason: 'unreadable' },
      { from: 13, to: 13, reason: 'trimmed' },
    ]);
    server.upstream.gap({
      ...{ channel: 'a', epoch: EPOCH, from: 15, to: 15, lost: 1, reason: 'too_large' },
    });
    publish(server, 16, 16);
    const told = [
      ...['8', `gap ${EPOCH} 9..10 unreadable`, '11', '12', `gap ${EPOCH} 13..13 trimmed`, '14'],
      ...[`gap ${EPOCH} 15..15 too_large`, '16'],
    ];
    expect(client.answers()).toMatchObject([{ offset: 14, recovered: true, replayed: 4 }]);
    expect(story(client)).toEqual(['answer', ...told]);
    const sequence = client.received.filter(({ seq }) => seq).map(({ seq }) => seq);
    expect(sequence).toEqual([1, 2, 3, 4, 5]);

    const another = server.client();
    resume(another, 14);
    expect(another.answers()).toMatchObject([{ offset: 16, recovered: true, replayed: 1 }]);
    expect(story(another)).toEqual(['answer', ...told.slice(-2)]);
    const third = server.client();
    server.upstream.gap({
      ...{ channel: 'a', epoch: EPOCH, from: 17, to: 18, lost: 2, reason: 'unreadable' },
    });
    resume(third, 17);
    expect(third.answers()).toMatchObject([{ offset: 18, recovered: true, replayed: 0 }]);
    expect(story(third)).toEqual(['answer', `gap ${EPOCH} 18..18 unreadable`]);
    expect(server.upstream.calls, 'the log knows of the gaps').toEqual(['+a', '?a 8']);
  });

  it('tells each of hundreds of gaps in one replay, also to a client that pauses reading', () => {
    using server = new FanOutUnderTest();
    const LAST = 600;
    const clients = [server.client(), server.client()];
    clients[1]?.stall();
    for (const client of clients) resume(client, 0);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: LAST });
    const publications = publicationsOf('a', 1, LAST).filter(({ offset }) => offset % 2 === 1);
    const gaps = publications.map(({ offset }) => {
      return { from: offset + 1, to: offset + 1, reason: 'unreadable' as const };
    });
    server.upstream.answer('a', EPOCH, publications, undefined, gaps);
    const expected = numbers(1, LAST).map((offset) =>
      offset % 2 === 1 ? `${offset}` : `gap ${EPOCH} ${offset}..${offset} unreadable`,
    );
    clients[1]?.drain();
    for (const client of clients) {
      for (let i = 0; i < 50; i += 1) client.flush();
      expect(story(client)).toEqual(['answer', ...expected]);
    }
  });

  it('tells a gap in its place even where unread answers leave no room for it', () => {
    const expected = ['answer', '1', `gap ${EPOCH} 2..2 unreadable`, '3', `resync next 0`];
    const outbox = { ...LIMITS, controlBytes: 3_000 };
    for (let pings = 0; pings < 50; pings += 1) {
      using server = new FanOutUnderTest({ outbox });
      const client = server.client();
      client.flush();
      client.stall();
      for (let i = 0; i < pings; i += 1) client.request({ type: 'ping', id: 'x'.repeat(64) });
      resume(client, 0);
      server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 3 });
      const publications = [1, 3].flatMap((offset) => publicationsOf('a', offset, offset));
      server.upstream.answer('a', EPOCH, publications, undefined, [
        { from: 2, to: 2, reason: 'unreadable' },
      ]);
      server.upstream.resync({ channel: 'a', epoch: 'next', offset: 0 });
      if (!client.connection.isOpen) {
        expect(pings, 'only those who ask for more than they read are closed').toBeGreaterThan(15);
        return;
      }
      client.drain();
      expect(story(client), `behind ${pings} answers`).toEqual(expected);
    }
    throw new Error('no answer was without room');
  });

  it('reads no publication that came on the feed', () => {
    using server = new FanOutUnderTest();
    server.subscriber('a', EPOCH, 5);
    publish(server, 6, 20);
    const client = server.client();
    resume(client, 12);
    expect(story(client)).toEqual(['answer', ...numbers(13, 20).map(String)]);
    expect(server.upstream.calls).toEqual(['+a']);
  });

  it('lets 1,000 clients that resume a cold channel recover with one read', () => {
    using server = new FanOutUnderTest();
    const clients = Array.from({ length: 1_000 }, () => server.client());
    for (const [i, client] of clients.entries()) resume(client, 10 + (i % 50));
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    const late = server.client();
    resume(late, 40);
    server.upstream.answer('a', EPOCH, publicationsOf('a', 11, 100));
    expect(server.upstream.calls).toEqual(['+a', '?a 11']);
    for (const [i, client] of [...clients, late].entries()) {
      const since = client === late ? 40 : 10 + (i % 50);
      expect(client.answers()).toMatchObject([{ recovered: true, replayed: 100 - since }]);
      if (i % 50 === 7) expect(client.offsets('a')).toEqual(numbers(since + 1, 100));
    }
  });

  it('lets all of them recover while the channel flows, with a second read for the earlier ones', () => {
    using server = new FanOutUnderTest();
    server.subscriber('a', EPOCH, 100);
    const clients = Array.from({ length: 1_000 }, () => server.client());
    for (const [i, client] of clients.entries()) resume(client, 60 - (i % 50));
    server.upstream.answer('a', EPOCH, publicationsOf('a', 61, 100));
    server.upstream.answer('a', EPOCH, publicationsOf('a', 12, 100));
    expect(server.upstream.calls).toEqual(['+a', '?a 61', '?a 12']);
    for (const [i, client] of clients.entries()) {
      expect(client.answers()).toMatchObject([{ recovered: true, replayed: 40 + (i % 50) }]);
    }
  });

  it('says that the history is trimmed only if the answer says so, to every client that needs as much', () => {
    using server = new FanOutUnderTest();
    const [one, other, third] = [server.client(), server.client(), server.client()];
    for (const client of [one, other]) resume(client, 0);
    resume(third, 95);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    expect([one, other].flatMap((client) => client.answers())).toEqual([]);
    server.upstream.answer('a', EPOCH, publicationsOf('a', 91, 100));
    const reason = 'history_trimmed';
    for (const client of [one, other]) {
      expect(client.answers()).toMatchObject([{ recovered: false, reason, replayed: 0 }]);
    }
    expect(third.answers()).toMatchObject([{ recovered: true, replayed: 5 }]);
    const late = server.client();
    resume(late, 0);
    expect(late.answers()).toMatchObject([{ recovered: false, reason, replayed: 0 }]);
    resume(server.client(), 90);
    expect(server.upstream.calls, 'what is trimmed is not asked for again').toEqual([
      ...['+a', '?a 1', '?a 91'],
    ]);
  });

  it('never reads a history again that is too long, also for a client that comes back; one that wants less gets it', () => {
    using server = new FanOutUnderTest();
    const [client, other] = [server.client(), server.client()];
    resume(client, 0);
    resume(other, 95);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    const tooLong = { channel: 'a', epoch: EPOCH, publications: [], gaps: [], tooLongBefore: 51 };
    server.upstream.answerWith(tooLong);
    const reason = 'history_too_long';
    expect(client.answers()).toMatchObject([{ recovered: false, reason, replayed: 0 }]);
    server.upstream.answer('a', EPOCH, publicationsOf('a', 96, 100));
    expect(other.answers()).toMatchObject([{ recovered: true, replayed: 5 }]);
    for (const each of [client, other]) {
      each.request({ type: 'unsubscribe', channels: ['a'] });
    }
    resume(client, 10);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    expect(client.answers().at(-1)).toMatchObject({ recovered: false, reason });
    expect(server.upstream.calls).toEqual(['+a', '?a 1', '?a 96', '-a', '+a']);
  });

  it('keeps the order when a page ends before publications that came meanwhile', () => {
    using server = new FanOutUnderTest({
      subscriptions: {
        maxChannelsPerClient: 9,
        maxHistory: 5,
        replayRate: { perSecond: 1, burst: 1_000_000_000 },
      },
    });
    const client = server.client();
    client.request({ type: 'subscribe', channels: [{ channel: 'a', history: 5 }] });
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 10 });
    publish(server, 11, 11);
    server.upstream.answer('a', EPOCH, publicationsOf('a', 6, 10));
    publish(server, 12, 12);
    expect(client.answers()).toMatchObject([{ offset: 11, recovered: true, replayed: 5 }]);
    expect(story(client)).toEqual(['answer', '7', '8', '9', '10', '11', '12']);
  });

  it('keeps publications that come during a read apart from the log', () => {
    using server = new FanOutUnderTest({ logBytes: 10_000 });
    const client = server.client();
    resume(client, 7);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 10 });
    publish(server, 11, 12);
    for (let i = 0; i < 100; i += 1) server.upstream.publish('other', i);
    server.upstream.answer('a', EPOCH, publicationsOf('a', 8, 10));
    expect(client.answers()).toMatchObject([{ recovered: true, replayed: 5 }]);
    expect(client.offsets('a')).toEqual(numbers(8, 12));
  });

  it('answers every waiting client with the code of a read that failed', () => {
    using server = new FanOutUnderTest();
    const [one, earlier, ahead] = [server.client(), server.client(), server.client()];
    resume(one, 50);
    resume(earlier, 20);
    resume(ahead, 900);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.answer('a', '', [], 'unavailable');
    for (const client of [one, earlier, ahead]) {
      const outcome = { recovered: false, reason: 'unavailable', replayed: 0 };
      expect(client.answers()).toMatchObject([outcome]);
    }
    publish(server, 101, 101);
    for (const client of [one, earlier, ahead]) expect(client.offsets('a')).toEqual([101]);
    expect(server.upstream.pendingReads.size).toBe(0);
  });

  it('treats an answer of another epoch as no answer, and ignores one from before a new epoch', () => {
    using server = new FanOutUnderTest();
    const client = server.client();
    resume(client, 50);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.answer('a', 'next', publicationsOf('a', 51, 100));
    expect(client.answers()).toMatchObject([{ recovered: false, reason: 'epoch_changed' }]);

    const other = server.client();
    other.request({ type: 'subscribe', channels: [{ channel: 'a', history: 10 }] });
    server.upstream.resync({ channel: 'a', epoch: 'next', offset: 100 });
    server.upstream.answer('a', EPOCH, publicationsOf('a', 91, 100));
    expect(other.answers()).toEqual([]);
    server.upstream.answer('a', 'next', publicationsOf('a', 91, 100));
    expect(other.answers()).toMatchObject([{ epoch: 'next', recovered: true, replayed: 10 }]);
  });

  it('takes no client back to an epoch that another node has left, while Redis cannot be asked', () => {
    using server = new FanOutUnderTest();
    const client = server.client();
    resume(client, 3, 'next', 10);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.answerEnd('a', 'unavailable');
    expect(client.answers()).toEqual([]);
    const [answer] = client.controls('subscribed');
    const rejected = [{ channel: 'a', code: 'unavailable', retryAfterMs: expect.any(Number) }];
    expect(answer).toMatchObject({ rejected, done: true });
    expect(server.upstream.wanted, 'nobody wants the channel any more').toEqual(new Set());

    resume(client, 3, 'next', 10);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.resync({ channel: 'a', epoch: 'next', offset: 0 });
    publish(server, 1, 4);
    server.upstream.answerEnd('a');
    expect(client.answers()).toMatchObject([{ epoch: 'next', recovered: true, replayed: 1 }]);
    expect(client.offsets('a')).toEqual([4]);
  });

  it('uses the part of an answer behind its last hole', () => {
    using server = new FanOutUnderTest();
    const client = server.client();
    resume(client, 5, EPOCH, 6);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 12 });
    const holed = [...publicationsOf('a', 6, 8), ...publicationsOf('a', 10, 12)];
    server.upstream.answer('a', EPOCH, holed);
    expect(client.answers()).toMatchObject([{ recovered: false, replayed: 3 }]);
    expect(client.offsets('a')).toEqual([10, 11, 12]);
  });
});

describe('FanOut: promises', { timeout: TIMEOUT_MS }, () => {
  const KIB = 1024;
  const DATA = 'x'.repeat(500);
  /** Eight of these are more than a log of 4 MiB: each publication counts about 850 bytes. */
  const CHANNELS = Array.from({ length: 8 }, (_, i) => `c${i}`);

  function pageOf(channel: string) {
    return numbers(1, 1_000).map((offset) => publicationOf(channel, DATA, offset));
  }

  it('are kept in full, however large one promise is', async () => {
    using server = new FanOutUnderTest({ logBytes: 4 * KIB * KIB });
    const client = server.client();
    const channels = CHANNELS.map((channel) => ({ channel, history: 1_000 }));
    client.request({ type: 'subscribe', channels });
    server.upstream.acknowledge(CHANNELS, { epoch: EPOCH, offset: 1_000 });
    for (let i = 0; i < 100 && client.answers().length < CHANNELS.length; i += 1) {
      for (const channel of [...server.upstream.pendingReads.keys()]) {
        server.upstream.answer(channel, EPOCH, pageOf(channel));
      }
      await new Promise(setImmediate);
    }
    expect(client.answers()).toHaveLength(CHANNELS.length);
    client.drain();
    for (const answer of client.answers()) {
      expect(answer).toMatchObject({ recovered: true, replayed: 1_000 });
    }
    expect(client.controls('gap')).toEqual([]);
    for (const channel of CHANNELS) expect(client.offsets(channel)).toEqual(numbers(1, 1_000));
  });

  it('wait for memory while a client reads nothing, and end the connection of that client', async () => {
    using server = new FanOutUnderTest({ logBytes: 2 * KIB * KIB });
    const stalled = server.client();
    stalled.stall();
    const channels = CHANNELS.map((channel) => ({ channel, history: 1_000 }));
    stalled.request({ type: 'subscribe', channels });
    server.upstream.acknowledge(CHANNELS, { epoch: EPOCH, offset: 1_000 });
    while (server.upstream.pendingReads.size > 0) {
      const [channel] = [...server.upstream.pendingReads.keys()] as [string];
      server.upstream.answer(channel, EPOCH, pageOf(channel));
      await new Promise(setImmediate);
    }
    const promised = stalled.connection.outbox.lastSequence;
    expect(promised).toBeGreaterThan(1_000);
    expect(promised, 'the rest waits').toBeLessThan(8_000);

    const other = server.client();
    other.request({ type: 'subscribe', channels: [{ channel: CHANNELS[0], history: 10 }] });
    expect(other.answers()).toEqual([]);
    await until(
      () => stalled.webSocket.closes.length > 0,
      'the end of the client that holds them up',
    );
    expect(stalled.webSocket.closes).toMatchObject([{ reason: 'slow' }]);
    await new Promise(setImmediate);
    const [from] = [...server.upstream.pendingReads.values()];
    server.upstream.answer('c0', EPOCH, pageOf('c0').slice(Number(from) - 1));
    expect(other.answers()).toMatchObject([{ recovered: true, replayed: 10 }]);
  });

  it('survive any number of publications meanwhile', () => {
    using server = new FanOutUnderTest({ logBytes: 20_000, outbox: { ...LIMITS, slots: 8 } });
    const client = server.client();
    client.stall();
    resume(client, 80);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.answer('a', EPOCH, publicationsOf('a', 81, 100));
    publish(server, 101, 150, DATA);
    client.drain();
    const last = client.offsets('a').indexOf(100);
    expect(client.offsets('a').slice(0, last + 1)).toEqual(numbers(81, 100));
    expect(client.controls('gap')).toMatchObject([{ epoch: EPOCH, from: 101, reason: 'slow' }]);
  });

  it('take no replay memory if the client’s queue has room', () => {
    using server = new FanOutUnderTest();
    const client = server.client();
    client.stall();
    resume(client, 80);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.answer('a', EPOCH, publicationsOf('a', 81, 100));
    const { outbox } = client.connection;
    expect([outbox.depth, outbox.owesReplay, outbox.isBehind]).toEqual([20, false, false]);
  });

  it('are kept, or the connection ends: a gap never replaces them', () => {
    using server = new FanOutUnderTest({
      outbox: { ...LIMITS, slots: 8 },
      slow: { graceMs: 60_000, maxLagMs: 1_000 },
    });
    const client = server.subscriber('b', EPOCH, 0);
    client.stall();
    server.upstream.publish('b', 1);
    resume(client, 80);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.answer('a', EPOCH, publicationsOf('a', 81, 100));
    client.connection.tend(performance.now() + 2_000);
    expect(client.webSocket.closes).toMatchObject([{ reason: 'slow' }]);
  });

  it('are not made for one replay that is too long by itself', () => {
    using server = new FanOutUnderTest({ logBytes: 10_000 });
    const client = server.client();
    resume(client, 0);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    server.upstream.answer('a', EPOCH, publicationsOf('a', 1, 100));
    const outcome = { recovered: false, reason: 'history_too_long', replayed: 0 };
    expect(client.answers()).toMatchObject([outcome]);
  });

  it('are kept for a channel that a client leaves and takes up again while it is behind', () => {
    using server = new FanOutUnderTest();
    const client = server.subscriber('a', EPOCH, 0);
    client.stall();
    publish(server, 1, 610);
    expect(client.connection.outbox.isBehind).toBe(true);
    client.request({ type: 'unsubscribe', channels: ['a'] });
    resume(client, 522);
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 610 });
    if (server.upstream.pendingReads.size > 0) {
      server.upstream.answer('a', EPOCH, publicationsOf('a', 523, 610));
    }
    publish(server, 611, 620);
    client.drain();
    expect(client.answers().at(-1)).toMatchObject({ recovered: true, replayed: 88 });
    expect(client.controls('gap')).toEqual([]);
    expect(client.offsets('a').slice(-98)).toEqual(numbers(523, 620));
  });
});

describe('FanOut: notices between publications', () => {
  it('sends the pending publications of an epoch under that epoch, then the new one', () => {
    using server = new FanOutUnderTest({ outbox: { ...LIMITS, slots: 2 } });
    const client = server.client();
    client.stall();
    resume(client, 5, 'E');
    server.upstream.acknowledge(['a'], { epoch: 'E', offset: 10 });
    server.upstream.answer('a', 'E', publicationsOf('a', 6, 10));
    publish(server, 11, 11);
    server.upstream.resync({ channel: 'a', epoch: 'NEW', offset: 8 });
    publish(server, 9, 9);
    client.drain();
    expect(story(client)).toEqual(['answer', '6', '7', '8', '9', '10', '11', 'resync NEW 8', '9']);
  });

  it('tells losses of an epoch under that epoch, too', () => {
    using server = new FanOutUnderTest({ logBytes: 1_000 });
    const client = server.subscriber('a', 'E', 0);
    client.stall();
    publish(server, 1, 600);
    server.upstream.resync({ channel: 'a', epoch: 'NEW', offset: 8 });
    publish(server, 9, 40);
    client.drain();
    const told = story(client);
    const gap = told.findIndex((one) => one.startsWith('gap'));
    expect(told[gap]).toMatch(/^gap E \d+\.\.600 slow$/);
    expect(told.slice(gap + 1, gap + 3)).toEqual([
      'resync NEW 8',
      expect.stringMatching(/^gap NEW 9\.\.\d+ slow$/),
    ]);
    expect(told.at(-1)).toBe('40');
  });

  it.each([
    ['started', 'the first epoch of a channel', undefined, 0],
    ['history_lost', 'the first one, if not all of it follows', undefined, 3],
    ['history_lost', 'any later one', { epoch: 'E', offset: 7 }, 0],
  ])('says %s at %s', (reason, _which, position, offset) => {
    using server = new FanOutUnderTest();
    const client = server.client();
    client.request({ type: 'subscribe', channels: ['a'] });
    server.upstream.acknowledge(['a'], position);
    server.upstream.resync({ channel: 'a', epoch: 'NEW', offset });
    expect(client.controls('resync')).toEqual([
      { type: 'resync', channel: 'a', epoch: 'NEW', offset, reason },
    ]);
  });

  it('tells a gap of the feed behind pending publications, with its own reason', () => {
    using server = new FanOutUnderTest();
    const client = server.subscriber('a', EPOCH, 0);
    client.stall();
    publish(server, 1, 520);
    const gap = { channel: 'a', epoch: EPOCH, from: 521, to: 522, lost: 2 } as const;
    server.upstream.gap({ ...gap, reason: 'too_large' });
    publish(server, 523, 523);
    client.drain();
    expect(story(client).slice(-3)).toEqual(['520', `gap ${EPOCH} 521..522 too_large`, '523']);
    expect(client.offsets('a')).toEqual([...numbers(1, 520), 523]);
  });
});
