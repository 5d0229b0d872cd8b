import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeClient, FanOutUnderTest, type Received } from '../testing/fan-out-under-test.ts';
import { LIMITS } from '../testing/test-connection.ts';

const EPOCH = 'k3x9';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  // Windows begin at multiples of their length.
  vi.advanceTimersByTime(10_000 - (performance.now() % 10_000));
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a subscription to the latest', () => {
  it('is sent the first at once, and then the newest of each interval with what it skipped', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 250);
    const all = subscriber(server);
    vi.advanceTimersByTime(60);
    publish(server, 101);
    expect(shown(client)).toEqual(['101']);
    for (let offset = 102; offset <= 110; offset += 1) {
      vi.advanceTimersByTime(10);
      publish(server, offset);
    }
    expect(shown(client)).toEqual(['101']);
    vi.advanceTimersByTime(99);
    expect(shown(client)).toEqual(['101']);
    vi.advanceTimersByTime(1);
    expect(shown(client)).toEqual(['101', '110 after 8']);
    publish(server, 111);
    vi.advanceTimersByTime(249);
    expect(shown(client)).toEqual(['101', '110 after 8']);
    vi.advanceTimersByTime(1);
    expect(shown(client)).toEqual(['101', '110 after 8', '111']);
    expect(all.offsets('a')).toEqual(offsets(101, 111));
    expect(server.fanOut.statistics).toMatchObject({ skipped: 8, deliveries: 14, refusals: 0 });
  });

  it('is sent nothing while nothing comes, and has no timer then', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 250);
    expect(vi.getTimerCount()).toBe(0);
    publish(server, 101);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(250);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(shown(client)).toEqual(['101']);
    publish(server, 102);
    expect(shown(client)).toEqual(['101', '102']);
  });

  it('shares one timer of its interval with those of all channels', () => {
    using server = new FanOutUnderTest();
    for (let i = 0; i < 12; i += 1) {
      for (const everyMs of [100, 250, 500, 1_000, 2_000]) latestOf(server, everyMs, `c${i}`);
    }
    for (let i = 0; i < 12; i += 1) server.upstream.publish(`c${i}`, i, 101);
    expect(vi.getTimerCount()).toBe(5);
    expect(server.fanOut.latestSubscriptions).toBe(60);
  });

  it('begins its intervals in one of five phases where there are many, so that they are not written to at one moment', () => {
    using server = new FanOutUnderTest();
    const clients = Array.from({ length: 640 }, () => latestOf(server, 250));
    const written = (): number => server.fanOut.statistics.deliveries;
    vi.advanceTimersByTime(210);
    publish(server, 101);
    expect(written()).toBe(640);
    publish(server, 102);
    const served: number[] = [];
    for (let passed = 0; passed < 250; passed += 10) {
      const before = written();
      vi.advanceTimersByTime(10);
      served.push(written() - before);
    }
    expect(Math.max(...served)).toBeLessThanOrEqual(640 / 4);
    expect(served.filter((count) => count > 0).length).toBe(5);
    for (const client of clients) expect(shown(client)).toEqual(['101', '102']);
  });

  it('is written to once for all its channels and intervals, whichever its phase', () => {
    using server = new FanOutUnderTest();
    for (let i = 0; i < 100; i += 1) server.client();
    const client = latestOf(server, 250, 'a');
    latestOf(server, 500, 'b');
    subscribe(client, { channel: 'b', latest: { everyMs: 500 } });
    for (const channel of ['a', 'b']) {
      for (const offset of [101, 102]) server.upstream.publish(channel, offset, offset);
    }
    const moments: number[] = [];
    for (let passed = 0; passed < 500; passed += 5) {
      const { lastSequence } = client.connection.outbox;
      vi.advanceTimersByTime(5);
      if (client.connection.outbox.lastSequence > lastSequence) moments.push(passed);
      if (passed === 250) server.upstream.publish('a', 103, 103);
    }
    expect(moments.length).toBe(2);
    expect(client.offsets('b')).toEqual([101, 102]);
  });

  it('is sent its first at once also where others wait for the end of their interval', () => {
    using server = new FanOutUnderTest();
    const early = latestOf(server, 2_000);
    publish(server, 101);
    publish(server, 102);
    const late = latestOf(server, 2_000);
    expect(late.answers()).toMatchObject([{ channel: 'a', latest: { everyMs: 2_000 } }]);
    publish(server, 103);
    publish(server, 104);
    expect([shown(early), shown(late)]).toEqual([['101'], ['103']]);
    vi.advanceTimersByTime(2_000);
    expect([shown(early), shown(late)]).toEqual([
      ['101', '104 after 2'],
      ['103', '104'],
    ]);
  });

  it('ends with what it held back, and leaves nothing behind', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 250);
    const gone = latestOf(server, 250);
    publish(server, 101);
    publish(server, 102);
    client.request({ type: 'unsubscribe', channels: ['a'] });
    expect(vi.getTimerCount()).toBe(1);
    gone.connection.terminate('internal');
    expect(vi.getTimerCount()).toBe(0);
    expect(server.fanOut.latestSubscriptions).toBe(0);
    expect(server.upstream.wanted.size).toBe(0);
    vi.advanceTimersByTime(1_000);
    expect(shown(client)).toEqual(['101', 'unsubscribed']);
  });

  it('has plain publications too', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 100);
    for (const data of ['x', 'y', 'z']) server.upstream.publish('a', data);
    vi.advanceTimersByTime(100);
    client.flush();
    const publications = client.received.filter(({ type }) => type === undefined);
    expect(publications).toMatchObject([{ data: 'x' }, { data: 'z', skipped: 1 }]);
    expect(publications.map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('is told a gap in its place, and one for many', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 250);
    publish(server, 101);
    gap(server, 102, 103);
    publish(server, 104);
    gap(server, 105, 105);
    publish(server, 106);
    gap(server, 107, 109);
    vi.advanceTimersByTime(250);
    expect(shown(client)).toEqual(['101', 'gap 102 to 105: 3', '106 after 1', 'gap 107 to 109: 3']);
    vi.advanceTimersByTime(1_000);
    gap(server, 110, 110);
    expect(shown(client).at(-1)).toBe('gap 110 to 110: 1');
    publish(server, 111);
    vi.advanceTimersByTime(250);
    expect(shown(client).at(-1)).toBe('111');
  });

  it('is told a gap once when it changes its interval, and none from before it came', () => {
    using server = new FanOutUnderTest();
    const [early, changing] = [latestOf(server, 2_000), latestOf(server, 1_000)];
    publish(server, 101);
    gap(server, 102, 103);
    const late = latestOf(server, 2_000);
    subscribe(changing, { channel: 'a', latest: { everyMs: 2_000 } });
    vi.advanceTimersByTime(2_000);
    expect(shown(early)).toEqual(['101', 'gap 102 to 103: 2']);
    expect(shown(changing)).toEqual(['101', 'gap 102 to 103: 2']);
    expect(shown(late)).toEqual([]);
  });

  it('has what was held back before a new epoch begins, and nothing of the old one behind it', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 2_000);
    const stalled = latestOf(server, 2_000);
    publish(server, 101);
    publish(server, 102);
    stalled.stall();
    server.upstream.resync({ channel: 'a', epoch: 'next', offset: 7 });
    expect(shown(client)).toEqual(['101', '102', 'resync next 7']);
    publish(server, 8);
    stalled.drain();
    vi.advanceTimersByTime(2_000);
    expect(shown(client)).toEqual(['101', '102', 'resync next 7', '8']);
    expect(shown(stalled)).toEqual(['101', '102', 'resync next 7', '8']);
  });

  it('has what was held back before the channel is lost', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 2_000);
    publish(server, 101);
    publish(server, 102);
    server.upstream.refuse(['a'], 'unavailable');
    expect(shown(client)).toEqual(['101', '102', 'unsubscribed']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a client that does not read', () => {
  it('has two publications of the channel in its queue, and the newest once it reads', () => {
    using server = new FanOutUnderTest({ outbox: { ...LIMITS, slots: 8 } });
    const client = latestOf(server, 100);
    const control = subscriber(server);
    for (const each of [client, control]) each.stall();
    let offset = 100;
    const publishFor = (ms: number): void => {
      for (let passed = 0; passed < ms; passed += 10) {
        offset += 1;
        publish(server, offset);
        vi.advanceTimersByTime(10);
      }
    };
    publishFor(30_000);
    expect(client.connection.outbox.depth).toBe(1);
    expect(client.connection.outbox.isBehind).toBe(false);
    // Who wants all is refused most of this, and given old values when it reads again.
    expect(control.connection.outbox.isBehind).toBe(true);
    client.drain();
    publishFor(100);
    expect(shown(client)).toEqual(['101', `${offset} after ${offset - 102}`]);
    control.drain();
    expect(control.offsets('a')[5]).toBe(106);
    expect(server.fanOut.statistics.skipped).toBe(offset - 102);
  });

  it('has the newest once it reads, also if a gap came behind it', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 100);
    client.stall();
    publish(server, 101);
    publish(server, 102);
    gap(server, 103, 105);
    vi.advanceTimersByTime(100);
    gap(server, 106, 106);
    vi.advanceTimersByTime(100);
    client.drain();
    vi.advanceTimersByTime(100);
    expect(shown(client)).toEqual(['101', '102', 'gap 103 to 106: 4']);
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['resync', 'resync next 7'],
    ['change', undefined],
  ] as const)('has what was held back before a %s', (kind, told) => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 2_000);
    client.stall();
    publish(server, 101);
    publish(server, 102);
    if (kind === 'resync') server.upstream.resync({ channel: 'a', epoch: 'next', offset: 7 });
    else subscribe(client, 'a');
    client.drain();
    expect(shown(client)).toEqual(['101', '102', ...(told === undefined ? [] : [told])]);
  });

  it('is not told the offset of a value that it has yet to be sent', () => {
    using server = new FanOutUnderTest({ outbox: { ...LIMITS, slots: 1 } });
    const client = latestOf(server, 250);
    client.stall();
    for (const offset of [101, 102, 103]) publish(server, offset);
    subscribe(client, { channel: 'a', latest: { everyMs: 250 } });
    subscribe(client, { channel: 'a', latest: { everyMs: 1_000 } });
    client.drain();
    expect(client.answers().slice(1)).toMatchObject([{ offset: 102 }, { offset: 102 }]);
    vi.advanceTimersByTime(1_000);
    expect(shown(client)).toEqual(['101', '103 after 1']);
  });

  it('is told the newest as lost when it changes to all of them and its queue is full', () => {
    using server = new FanOutUnderTest({ outbox: { ...LIMITS, slots: 1 } });
    const client = latestOf(server, 250);
    client.stall();
    for (const offset of [101, 102, 103]) publish(server, offset);
    subscribe(client, 'a');
    client.drain();
    publish(server, 104);
    expect(shown(client)).toEqual(['101', 'gap 103 to 103: 1', '104']);
    expect(client.controls('gap')).toMatchObject([{ epoch: EPOCH, reason: 'slow' }]);
  });

  it('is sent nothing of an old epoch when it changes to an interval that nobody else has', () => {
    using server = new FanOutUnderTest({ outbox: { ...LIMITS, slots: 1 } });
    const client = latestOf(server, 250);
    client.stall();
    publish(server, 101);
    publish(server, 102);
    server.upstream.resync({ channel: 'a', epoch: 'next', offset: 7 });
    subscribe(client, { channel: 'a', latest: { everyMs: 100 } });
    client.drain();
    vi.advanceTimersByTime(1_000);
    expect(shown(client)).toEqual(['101', 'resync next 7']);
  });

  it('is sent more while it reads slowly, although its socket is never free', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 100);
    client.request({ type: 'subscribe', channels: ['b'] });
    server.upstream.acknowledge(['b'], { epoch: EPOCH, offset: 0 });
    client.stall();
    publish(server, 101);
    publish(server, 102);
    for (let round = 0; round < 5; round += 1) {
      server.upstream.publish('b', 'x', 1 + round);
      // The socket takes what waits, and is full again.
      client.sink.drain();
      client.stall();
      publish(server, 103 + round);
      vi.advanceTimersByTime(100);
    }
    client.drain();
    expect(client.offsets('a').length).toBeGreaterThanOrEqual(4);
  });
});

describe('a second subscribe', () => {
  it('changes the interval, and what it skipped still counts', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 2_000);
    publish(server, 101);
    publish(server, 102);
    subscribe(client, { channel: 'a', latest: { everyMs: 100 } });
    expect(client.answers().at(-1)).toEqual({
      ...{ channel: 'a', ref: 1, epoch: EPOCH, offset: 102 },
      latest: { everyMs: 100 },
    });
    expect(shown(client)).toEqual(['101', '102']);
    publish(server, 103);
    publish(server, 104);
    vi.advanceTimersByTime(100);
    expect(shown(client)).toEqual(['101', '102', '103', '104']);
    expect(server.fanOut.latestSubscriptions).toBe(1);
  });

  it('without `latest` brings all from there on, and what was held back before that', () => {
    using server = new FanOutUnderTest();
    const client = latestOf(server, 2_000);
    for (const offset of [101, 102, 103]) publish(server, offset);
    subscribe(client, 'a');
    expect(client.answers().at(-1)).not.toHaveProperty('latest');
    for (const offset of [104, 105]) publish(server, offset);
    expect(shown(client)).toEqual(['101', '103 after 1', '104', '105']);
    expect(vi.getTimerCount()).toBe(0);
    subscribe(client, { channel: 'a', latest: { everyMs: 500 } });
    for (const offset of [106, 107, 108]) publish(server, offset);
    expect(shown(client).slice(4)).toEqual(['106']);
    vi.advanceTimersByTime(500);
    expect(shown(client).slice(4)).toEqual(['106', '108 after 1']);
    expect(server.fanOut.index.subscriptions).toBe(1);
  });

  it('changes nothing beyond the budget, and is told what holds', () => {
    const subscribeRate = { perSecond: 1, burst: 1 };
    using server = new FanOutUnderTest({ subscribeRate, enforcesRates: true });
    const client = latestOf(server, 250);
    subscribe(client, { channel: 'a', latest: { everyMs: 100 } });
    subscribe(client, 'a');
    const asItWas = { channel: 'a', latest: { everyMs: 250 } };
    expect(client.answers()).toMatchObject([asItWas, asItWas, asItWas]);
    expect(server.fanOut.latestSubscriptions).toBe(1);
  });

  it('decides while the first one is not answered', () => {
    using server = new FanOutUnderTest();
    const client = server.client();
    subscribe(client, 'a');
    subscribe(client, { channel: 'a', latest: { everyMs: 250 } });
    server.upstream.acknowledge(['a'], { epoch: EPOCH, offset: 100 });
    expect(client.answers()).toMatchObject([
      { channel: 'a', latest: { everyMs: 250 } },
      { channel: 'a', latest: { everyMs: 250 } },
    ]);
    for (const offset of [101, 102, 103]) publish(server, offset);
    vi.advanceTimersByTime(250);
    expect(shown(client)).toEqual(['101', '103 after 1']);
  });
});

describe('a subscription to the latest that continues', () => {
  it('is sent the newest that it missed, told how many are left out, and then what is live', () => {
    using server = new FanOutUnderTest();
    subscriber(server);
    for (const offset of offsets(101, 2_500)) publish(server, offset);
    const client = latestOf(server, 250, 'a', { since: { epoch: EPOCH, offset: 101 } });
    expect(client.answers()).toMatchObject([
      { offset: 2_500, recovered: true, replayed: 1, skipped: 2_398, latest: { everyMs: 250 } },
    ]);
    for (const offset of [2_501, 2_502, 2_503]) publish(server, offset);
    vi.advanceTimersByTime(250);
    expect(shown(client)).toEqual(['2500', '2501', '2503 after 1']);
  });

  it('asks the history for the newest alone', () => {
    using server = new FanOutUnderTest();
    latestOf(server, 250, 'a', { since: { epoch: EPOCH, offset: 7 } });
    expect(server.upstream.calls.at(-1)).toBe('?a 100');
  });

  it('begins with as much history as it asks for', () => {
    using server = new FanOutUnderTest();
    subscriber(server);
    for (const offset of offsets(101, 110)) publish(server, offset);
    const client = latestOf(server, 250, 'a', { history: 3 });
    for (const offset of [111, 112]) publish(server, offset);
    vi.advanceTimersByTime(250);
    expect(shown(client)).toEqual(['108', '109', '110', '111', '112']);
  });

  it.each([250.5, '250', 0, null])(
    'is rejected for an interval that there is not: %s',
    (everyMs) => {
      using server = new FanOutUnderTest();
      const client = server.client();
      subscribe(client, { channel: 'a', latest: { everyMs } });
      expect(client.controls('subscribed')).toMatchObject([
        { channels: [], rejected: [{ channel: 'a', code: 'bad_latest' }], done: true },
      ]);
    },
  );
});

function subscribe(client: FakeClient, channel: unknown): void {
  client.request({ type: 'subscribe', channels: [channel] });
}

/** A client that has the latest of a channel whose position is 100 when it is first subscribed to. */
function latestOf(
  server: FanOutUnderTest,
  everyMs: number,
  channel = 'a',
  more: object = {},
): FakeClient {
  const client = server.client();
  subscribe(client, { channel, latest: { everyMs }, ...more });
  server.upstream.acknowledge([channel], { epoch: EPOCH, offset: 100 });
  return client;
}

/** A client that has all of it. */
function subscriber(server: FanOutUnderTest): FakeClient {
  return server.subscriber('a', EPOCH, 100);
}

function publish(server: FanOutUnderTest, offset: number): void {
  server.upstream.publish('a', offset, offset);
}

function gap(server: FanOutUnderTest, from: number, to: number): void {
  const lost = to - from + 1;
  server.upstream.gap({ channel: 'a', epoch: EPOCH, from, to, lost, reason: 'too_large' });
}

function offsets(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** What a client was sent of channels, in words. */
function shown(client: FakeClient): string[] {
  client.flush();
  return client.received.map(inWords).filter((text) => text !== undefined);
}

function inWords({ type, offset, skipped, from, to, lost, epoch }: Received): string | undefined {
  if (type === undefined) return skipped === undefined ? `${offset}` : `${offset} after ${skipped}`;
  if (type === 'gap') return `gap ${from} to ${to}: ${lost}`;
  if (type === 'resync') return `resync ${epoch} ${offset}`;
  return type === 'unsubscribed' ? type : undefined;
}
