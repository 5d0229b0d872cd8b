import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answers, createHub, refusalOf } from './testing/hub-under-test.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('Hub: the link to Redis', () => {
  it('refuses channels that are not live when the link is lost, and keeps the others', async () => {
    const { hub, source, worker } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('flows');
    hub.subscribed(['flows']);
    await answers();
    feed.declare('pending');
    told.news();
    hub.linkLost('ping timeout');
    expect(told.news()).toEqual(['refused pending unavailable', 'degraded']);
    expect([...source.wanted]).toEqual(['flows']);
  });

  it('tells of the gap before anything that is published after it', async () => {
    const { hub, worker } = createHub();
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a');
    one.feed.declare('b');
    two.feed.declare('b');
    hub.subscribed(['a', 'b']);
    await answers();
    hub.linkLost('ping timeout');
    one.worker.news();
    two.worker.news();
    hub.subscribed(['b']);
    await answers();
    hub.message('b', Buffer.from('1'));
    hub.subscribed(['a']);
    await answers();
    hub.linkRestored();
    hub.message('a', Buffer.from('2'));
    expect(one.worker.news()).toEqual([
      'gap b link',
      'published b 1',
      'gap a link',
      'restored',
      'published a 2',
    ]);
    expect(two.worker.news()).toEqual(['gap b link', 'published b 1', 'restored']);
  });

  it('tells of a second gap where the link is lost again in the middle of its recovery', async () => {
    const { hub, worker, reported } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    feed.declare('b');
    hub.subscribed(['a', 'b']);
    await answers();
    hub.linkLost('first');
    hub.subscribed(['a']);
    await answers();
    hub.message('a', Buffer.from('1'));
    hub.linkLost('second');
    told.news();
    hub.subscribed(['a', 'b']);
    await answers();
    hub.message('a', Buffer.from('2'));
    hub.message('b', Buffer.from('3'));
    hub.linkRestored();
    expect(told.news()).toEqual([
      'gap a link',
      'gap b link',
      'published a 2',
      'published b 3',
      'restored',
    ]);
    expect(reported.filter((line) => line.startsWith('degraded'))).toHaveLength(2);
  });

  it('says since when it is cut off: since the first loss, until the recovery', async () => {
    const { hub, worker, reported } = createHub();
    const { worker: told } = await worker();
    vi.setSystemTime(1_000_000);
    hub.linkLost('first');
    vi.setSystemTime(1_005_000);
    hub.linkLost('second');
    expect(hub.degradedSince).toBe(1_000_000);
    hub.linkRestored();
    hub.linkRestored();
    expect(hub.degradedSince).toBeUndefined();
    expect(told.news()).toEqual(['degraded', 'restored']);
    expect(reported).toEqual(['degraded first', 'degraded second', 'restored 5000']);
  });

  it('has never been linked until the first recovery, and stays so through losses', () => {
    const { hub, reported } = createHub({}, false);
    hub.linkLost('refused');
    expect(hub).toMatchObject({ everLinked: false, degradedSince: expect.any(Number) });
    hub.linkRestored();
    hub.linkLost('again');
    expect(hub.everLinked).toBe(true);
    hub.linkRestored();
    expect(reported).toEqual([
      ...['not linked yet refused', 'linked 0', 'degraded again', 'restored 0'],
    ]);
  });

  it('refuses channels that are declared while it is cut off, and asks nothing of Redis', async () => {
    const { hub, source, worker } = createHub();
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    hub.linkLost('ping timeout');
    two.worker.news();
    two.feed.declare('a');
    two.feed.declare('b');
    await answers();
    expect(two.worker.news()).toEqual(['refused a unavailable', 'refused b unavailable']);
    hub.subscribed(['a']);
    await answers();
    hub.linkRestored();
    hub.message('a', Buffer.from('1'));
    expect(two.worker.news(), 'refused counts as dropped').toEqual(['restored']);
    expect(source.calls).toEqual(['+a']);
  });

  it('recovers a channel that only lingered without telling of a gap that nobody had', async () => {
    const { hub, worker } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    feed.drop('a');
    hub.linkLost('ping timeout');
    hub.subscribed(['a']);
    await answers();
    hub.linkRestored();
    told.news();
    feed.declare('a');
    await answers();
    expect(told.news()).toEqual(['acknowledged a']);
  });

  it('lets go of a channel that Redis refuses, and asks again when it is declared again', async () => {
    const { hub, source, worker, reported } = createHub();
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('secret');
    two.feed.declare('secret');
    one.feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    hub.refused('secret', refusalOf('NOPERM'));
    expect(one.worker.news()).toEqual(['acknowledged a', 'refused secret unavailable']);
    expect(two.worker.news()).toEqual(['refused secret unavailable']);
    expect(reported).toEqual(['refused secret NOPERM']);
    expect([...source.wanted]).toEqual(['a']);
    one.feed.declare('secret');
    hub.subscribed(['secret']);
    await answers();
    expect(one.worker.news()).toEqual(['acknowledged secret']);
  });

  it('lets go of a live channel when Redis refuses it after a lost link', async () => {
    const { hub, worker } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    hub.linkLost('ping timeout');
    told.news();
    hub.refused('a', refusalOf('NOPERM'));
    hub.linkRestored();
    expect(told.news()).toEqual(['refused a unavailable', 'restored']);
    expect(hub.channels).toBe(0);
  });

  it('keeps a live channel when the error passes, and tells the gap when it is back', async () => {
    const { hub, source, worker } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    hub.linkLost('ping timeout');
    hub.refused('a', refusalOf('BUSY'));
    hub.linkRestored();
    told.news();
    expect([...source.wanted]).toEqual(['a']);
    hub.subscribed(['a']);
    await answers();
    expect(told.news()).toEqual(['gap a link']);
  });

  it('refuses workers that wait for a channel instead of waiting for an error to pass', async () => {
    const { hub, worker } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.refused('a', refusalOf('BUSY'));
    expect(told.news()).toEqual(['refused a unavailable']);
  });

  it('subscribes again when a worker declares the channel while it is being refused', async () => {
    const { hub, source, worker } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    told.onRefused = (channels) => {
      told.told.push(`refused ${channels.join()}`);
      if (told.told.length === 1) feed.declare('a');
    };
    hub.refused('a', refusalOf('NOPERM'));
    hub.subscribed(['a']);
    await answers();
    expect(told.news()).toEqual(['refused a', 'acknowledged a']);
    expect([...source.wanted]).toEqual(['a']);
  });
});

describe('Hub: payloads', () => {
  it.each([
    ['x'.repeat(101), 'dropped a too_large'],
    [Buffer.from([0xff]), 'dropped a unreadable'],
    ['@1:k3x9:131:1795416898073;{}', 'header rejected a no_meta'],
    ['@2:whatever', 'header rejected a unknown_header'],
    ['@1:whatever', 'header rejected a bad_header'],
  ])('drops %j, and says so', async (payload, report) => {
    const { hub, worker, reported } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    told.news();
    hub.message('a', Buffer.from(payload));
    hub.message('a', Buffer.from('@hello'));
    await answers();
    expect(told.news()).toEqual(['published a @hello']);
    expect(reported.filter((line) => !line.startsWith('received'))).toEqual([report]);
  });
});
