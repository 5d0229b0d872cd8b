import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answers, createHub, RecordingWorker } from './testing/hub-under-test.ts';

const LINGER_MS = 3_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('Hub: interest', () => {
  it('subscribes once, however many workers declare a channel, and acknowledges when Redis has confirmed', async () => {
    const { hub, source, worker } = createHub();
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a');
    two.feed.declare('a');
    one.feed.declare('b');
    await answers();
    expect(source.calls).toEqual(['+a', '+b']);
    expect([...one.worker.news(), ...two.worker.news()]).toEqual([]);
    hub.subscribed(['a', 'b']);
    await answers();
    expect(one.worker.news()).toEqual(['acknowledged a,b']);
    expect(two.worker.news()).toEqual(['acknowledged a']);
  });

  it('acknowledges a channel that is live already, but not before the call has returned', async () => {
    const { hub, source, worker } = createHub();
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    two.feed.declare('a');
    expect(two.worker.told).toEqual([]);
    await answers();
    expect(two.worker.news()).toEqual(['acknowledged a']);
    expect(two.worker.refs.get('a')).toBe(one.worker.refs.get('a'));
    expect(source.calls).toEqual(['+a']);
  });

  it('delivers publications to the workers that want them, and only to them', async () => {
    const { hub, worker } = createHub();
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a');
    one.feed.declare('b');
    two.feed.declare('b');
    hub.subscribed(['a', 'b']);
    await answers();
    one.worker.news();
    two.worker.news();
    hub.message('a', Buffer.from('1'));
    hub.message('b', Buffer.from('2'));
    one.feed.drop('b');
    hub.message('b', Buffer.from('3'));
    hub.message('c', Buffer.from('4'));
    expect(one.worker.news()).toEqual(['published a 1', 'published b 2']);
    expect(two.worker.news()).toEqual(['published b 2', 'published b 3']);
  });

  it('gives each channel a number of its own, and a new one when it comes back', async () => {
    const { hub, worker } = createHub({ lingerMs: 0 });
    const { feed, worker: told } = await worker();
    feed.declare('a');
    feed.declare('b');
    hub.subscribed(['a', 'b']);
    await answers();
    const first = told.refs.get('a');
    feed.drop('a');
    vi.advanceTimersByTime(10);
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    expect(new Set([first, told.refs.get('b'), told.refs.get('a')]).size).toBe(3);
  });

  it('tells a worker whether the node is linked when it connects', async () => {
    const { hub } = createHub({}, false);
    const [early, late] = [new RecordingWorker(), new RecordingWorker()];
    hub.connect(early);
    expect(early.told).toEqual([]);
    await answers();
    hub.linkRestored();
    hub.connect(late);
    await answers();
    expect(early.news()).toEqual(['degraded', 'restored']);
    expect(late.news()).toEqual(['restored']);
  });

  it('tells a worker the latest state when the link changes right after it connected', async () => {
    const { hub } = createHub({}, false);
    const worker = new RecordingWorker();
    hub.connect(worker);
    hub.linkRestored();
    await answers();
    expect(worker.told.at(-1)).toBe('restored');
  });

  it('ends with nothing left to do', async () => {
    const { hub, worker } = createHub();
    const { feed } = await worker();
    feed.declare('a');
    feed.drop('a');
    expect(vi.getTimerCount()).toBe(1);
    hub.stop();
    expect(vi.getTimerCount()).toBe(0);
    expect(hub.channels).toBe(0);
  });
});

describe('Hub: lingering', () => {
  it('keeps a channel for a while after the last worker dropped it', async () => {
    const { hub, source, worker } = createHub();
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a');
    two.feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    one.feed.drop('a');
    vi.advanceTimersByTime(10 * LINGER_MS);
    expect(source.wanted.has('a'), 'two still wants it').toBe(true);
    two.feed.drop('a');
    vi.advanceTimersByTime(LINGER_MS - 1);
    expect(source.wanted.has('a')).toBe(true);
    vi.advanceTimersByTime(2);
    expect(source.calls).toEqual(['+a', '-a']);
    expect(hub.channels).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('acknowledges a channel that is declared again meanwhile, without asking Redis', async () => {
    const { hub, source, worker } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    feed.drop('a');
    vi.advanceTimersByTime(LINGER_MS - 1);
    told.news();
    feed.declare('a');
    await answers();
    vi.advanceTimersByTime(10 * LINGER_MS);
    expect(told.news()).toEqual(['acknowledged a']);
    expect(source.calls).toEqual(['+a']);
  });

  it('lingers for its whole time after each drop', async () => {
    const { hub, source, worker } = createHub();
    const { feed } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    feed.drop('a');
    vi.advanceTimersByTime(LINGER_MS - 100);
    feed.declare('a');
    feed.drop('a');
    vi.advanceTimersByTime(LINGER_MS - 100);
    expect(source.calls).toEqual(['+a']);
    vi.advanceTimersByTime(101);
    expect(source.calls).toEqual(['+a', '-a']);
  });

  it('lets go of each channel at its own time', async () => {
    const { hub, source, worker } = createHub();
    const { feed } = await worker();
    for (const name of ['a', 'b', 'c']) feed.declare(name);
    hub.subscribed(['a', 'b', 'c']);
    await answers();
    for (const name of ['b', 'a']) {
      feed.drop(name);
      vi.advanceTimersByTime(1_000);
    }
    vi.advanceTimersByTime(1_001);
    expect(source.calls.slice(3)).toEqual(['-b']);
    vi.advanceTimersByTime(1_000);
    expect(source.calls.slice(3)).toEqual(['-b', '-a']);
  });

  it('delivers nothing of a channel that only lingers', async () => {
    const { hub, worker, reported } = createHub();
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    feed.drop('a');
    told.news();
    hub.message('a', Buffer.from('1'));
    expect(told.news()).toEqual([]);
    expect(reported).toEqual(['received a 1']);
  });
});

describe('Hub: limits', () => {
  it('refuses more channels than the node may hold, but not one that it holds already', async () => {
    const { hub, source, worker } = createHub({ maxChannels: 2 });
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a');
    one.feed.declare('b');
    hub.subscribed(['a', 'b']);
    await answers();
    one.worker.news();
    two.feed.declare('c');
    two.feed.declare('a');
    expect(two.worker.told).toEqual([]);
    await answers();
    expect(two.worker.news()).toEqual(['refused c node_channels_full', 'acknowledged a']);
    expect(source.calls).toEqual(['+a', '+b']);
  });

  it('makes room by letting go of the channel that has lingered longest', async () => {
    const { hub, source, worker } = createHub({ maxChannels: 3 });
    const { feed } = await worker();
    for (const name of ['a', 'b', 'c']) feed.declare(name);
    hub.subscribed(['a', 'b', 'c']);
    await answers();
    feed.drop('b');
    feed.drop('a');
    feed.declare('d');
    expect(source.calls.slice(3)).toEqual(['-b', '+d']);
    expect(hub.channels).toBe(3);
  });

  it('makes room for a client that holds few at the cost of unused names of one that holds many', async () => {
    const { hub, source, worker, reported } = createHub({ maxChannels: 3 });
    const { feed, worker: told } = await worker();
    feed.declare('used', 500);
    feed.declare('invented', 501);
    feed.declare('few', 1);
    hub.subscribed(['used', 'invented', 'few']);
    await answers();
    vi.advanceTimersByTime(1);
    hub.message('used', Buffer.from('1'));
    told.news();

    feed.declare('b', 0);
    expect(told.news()).toEqual([]);
    hub.subscribed(['b']);
    await answers();
    expect(told.news()).toEqual(['refused invented node_channels_full', 'acknowledged b']);
    expect(source.calls.slice(3)).toEqual(['-invented', '+b']);

    feed.declare('c', 1);
    await answers();
    expect(told.news()).toEqual(['refused c node_channels_full']);
    expect(hub.channels).toBe(3);
    expect(reported.filter((line) => line.startsWith('limited'))).toEqual([
      'limited node_channels true',
      'limited node_channels true',
    ]);
  });

  it('spares a name that a client that holds few wants, too', async () => {
    const { hub, worker } = createHub({ maxChannels: 1 });
    const [one, two] = [await worker(), await worker()];
    one.feed.declare('a', 500);
    two.feed.declare('a', 0);
    hub.subscribed(['a']);
    await answers();
    two.feed.declare('b', 0);
    await answers();
    expect(two.worker.news()).toEqual(['acknowledged a', 'refused b node_channels_full']);
  });

  it('limits new channels per second, not those that it holds', async () => {
    const { hub, worker } = createHub({ subscribeRate: { perSecond: 1, burst: 2 } });
    const { feed, worker: told } = await worker();
    for (const name of ['a', 'b', 'c']) feed.declare(name);
    hub.subscribed(['a', 'b']);
    await answers();
    expect(told.news()).toEqual(['refused c rate_limited', 'acknowledged a,b']);
    feed.drop('a');
    feed.declare('a');
    await answers();
    expect(told.news()).toEqual(['acknowledged a']);
    vi.advanceTimersByTime(1_001);
    feed.declare('c');
    hub.subscribed(['c']);
    await answers();
    expect(told.news()).toEqual(['acknowledged c']);
  });

  it('takes back a refusal that was overtaken by a drop and a new declaration', async () => {
    const { hub, source, worker } = createHub({ subscribeRate: { perSecond: 1, burst: 1 } });
    const { feed, worker: told } = await worker();
    feed.declare('a');
    feed.declare('b');
    feed.drop('b');
    vi.advanceTimersByTime(1_001);
    feed.declare('b');
    await answers();
    hub.subscribed(['a', 'b']);
    await answers();
    expect(told.news()).toEqual(['acknowledged a,b']);
    expect([...source.wanted]).toEqual(['a', 'b']);
  });

  it('acknowledges no channel that Redis must still confirm, although it was live a moment ago', async () => {
    const { hub, worker } = createHub({ maxChannels: 1 });
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    told.news();
    feed.drop('a');
    feed.declare('a');
    feed.drop('a');
    feed.declare('b');
    feed.drop('b');
    feed.declare('a');
    await answers();
    expect(told.news()).toEqual([]);
    hub.subscribed(['a']);
    await answers();
    expect(told.news()).toEqual(['acknowledged a']);
  });
});
