import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { HubLimits } from './hub.ts';
import { answers, refusalOf, StoreError } from './testing/hub-under-test.ts';
import { createLiveHub, entries, entry, type LiveHub, NOW, sequenced } from './testing/live-hub.ts';

/** Payloads that are larger than this are not delivered. */
const MAX_BYTES = 100;

/** The time after which failed operations and suspicions are looked into, in ms. */
const TICK_MS = 250;

beforeEach(() => {
  vi.useFakeTimers({
    now: NOW,
    toFake: [
      ...(['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const),
      ...(['Date', 'performance'] as const),
    ],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

async function live(limits: Partial<HubLimits> = {}): Promise<LiveHub> {
  const under = await createLiveHub(limits);
  onTestFinished(() => under.hub.stop());
  return under;
}

async function tick(): Promise<void> {
  vi.advanceTimersByTime(TICK_MS);
  await answers();
}

describe('Hub: a request for history', () => {
  it('is answered after the read that follows a repair', async () => {
    const { hub, store, feed, told } = await live();
    store.positions.set('a', { epoch: 'E', offset: 6 });
    store.logs.set('a', entries(5, 6));
    hub.message('a', sequenced(6));
    await answers();
    feed.confirmEnd('a');
    await answers();
    expect(told.news()).toEqual(['published a 5', 'published a 6', 'end a confirmed']);
  });

  it('has a gap in the place of what is missing, or cannot be delivered', async () => {
    const { store, feed, told, publish } = await live();
    publish(5, 11);
    await answers();
    told.news();
    const unreadable = { payload: Buffer.from([0xff]) };
    const large = { payload: Buffer.from(JSON.stringify('x'.repeat(MAX_BYTES))) };
    store.logs.set('a', [
      ...[entry(1), entry(3), { ...entry(4), ...unreadable }, { ...entry(5), ...unreadable }],
      ...[{ ...entry(6), ...large }, entry(7), entry(9)],
    ]);
    feed.readHistory('a', 1);
    await answers();
    expect(told.news()).toEqual([
      'history a 1,trimmed 2-2,3,unreadable 4-5,too_large 6-6,7,trimmed 8-8,9,trimmed 10-11',
    ]);
  });

  it('begins with what is left, unless history shows that it reaches further back', async () => {
    const { store, feed, told } = await live();
    store.logs.set('a', [entry(1), entry(4)]);
    feed.readHistory('a', 2);
    await answers();
    expect(told.news()).toEqual(['history a trimmed 2-3,4']);
    store.logs.set('a', [entry(4)]);
    feed.readHistory('a', 2);
    await answers();
    expect(told.news()).toEqual(['history a 4']);
  });

  it('is answered when a new epoch begins meanwhile, which has not gone so far', async () => {
    const { hub, store, feed, told } = await live();
    store.positions.set('a', { epoch: 'F', offset: 1 });
    store.logs.set('a', [{ ...entry(1, 'new'), publishedAt: NOW + 1 }]);
    store.faults.history = new StoreError('passing');
    hub.message('a', Buffer.from(`@1:F:1:${NOW + 1};"new"`));
    await answers();
    delete store.faults.history;
    feed.readHistory('a', 3);
    for (let i = 0; i < 10; i += 1) await tick();
    expect(told.news()).toEqual(['resync a F 0', 'published a new', 'history a ']);
  });

  it('says from where on it may be replayed, when all of it is too long, and reads no more of it', async () => {
    const { store, feed, told } = await live({ maxReplayBytes: 3_000 });
    store.positions.set('a', { epoch: 'E', offset: 4 });
    const long = (offset: number) => ({ ...entry(offset), payload: Buffer.alloc(90, 0x31) });
    store.positions.set('a', { epoch: 'E', offset: 1_000 });
    store.logs.set(
      'a',
      Array.from({ length: 1_000 }, (_, i) => long(i + 1)),
    );
    feed.confirmEnd('a');
    await answers();
    told.news();
    store.bytesRead = 0;
    feed.readHistory('a', 1);
    await answers();
    const [answer] = told.news();
    expect(answer).toMatch(/^history a too long before 993 993,/);
    expect(store.bytesRead, 'control: all of it is 90,000').toBeLessThan(9_000);
    feed.readHistory('a', 993);
    await answers();
    expect(told.news()).toEqual([answer?.replace('too long before 993 ', '')]);
  });

  it('is read for anew when it comes within the answer to another one', async () => {
    const { store, feed, told } = await live();
    const answered = told.recordHistory.bind(told);
    told.recordHistory = (answer) => {
      answered(answer);
      if (told.told.length < 3) feed.readHistory('a', 3);
    };
    feed.readHistory('a', 1);
    await answers();
    expect(told.news()).toEqual(['history a 1,2,3,4', 'history a 3,4', 'history a 3,4']);
    expect(store.calls.length).toBeGreaterThan(2);
  });

  it('waits for the budget of reads for clients, while repairs do not', async () => {
    const { store, feed, told, publish, hub, reported } = await live({
      historyReadRate: { perSecond: 1_000, burst: 1_000 },
    });
    feed.readHistory('a', 1);
    await answers();
    expect(told.news()).toEqual(['history a 1,2,3,4']);
    feed.readHistory('a', 1);
    await answers();
    expect(told.news(), 'it owes for what it read before').toEqual([]);
    expect(reported).toContain('limited history_reads true');
    store.positions.set('a', { epoch: 'E', offset: 6 });
    store.logs.set('a', entries(1, 6));
    hub.message('a', sequenced(6));
    await answers();
    expect(told.news()).toEqual(['published a 5', 'published a 6']);
    vi.advanceTimersByTime(1_500);
    await answers();
    expect(told.news()).toEqual(['history a 1,2,3,4,5,6']);
    publish(7);
  });

  it('is answered with a code when the budget is not enough for long', async () => {
    const { feed, told } = await live({ historyReadRate: { perSecond: 1, burst: 1_000 } });
    for (let i = 0; i < 2; i += 1) {
      feed.readHistory('a', 1);
      await answers();
    }
    vi.advanceTimersByTime(5_100);
    await answers();
    expect(told.news()).toEqual(['history a 1,2,3,4', 'history a unavailable']);
  });

  it('is answered with a code in time when it is not its turn before', async () => {
    const { store, hub, feed, told } = await live();
    const others = Array.from({ length: 16 }, (_, i) => `other${i}`);
    for (const name of others) {
      store.positions.set(name, { epoch: 'E', offset: 4 });
      feed.declare(name);
    }
    hub.subscribed(others);
    await answers();
    const read = store.readHistory.bind(store);
    store.readHistory = (channel, ...rest) =>
      channel === 'a' ? read(channel, ...rest) : new Promise(() => undefined);
    for (const name of others) feed.readHistory(name, 1);
    await answers();
    told.news();
    feed.readHistory('a', 1);
    vi.advanceTimersByTime(4_900);
    await answers();
    expect(told.news(), 'as many reads as may be are under way').toEqual([]);
    vi.advanceTimersByTime(400);
    await answers();
    expect(told.news()).toEqual(['history a unavailable']);
  });

  it('brings a worker what it missed, the oldest first, in several answers, without waiting for a budget', async () => {
    const { store, feed, told } = await live({
      ...{ maxHistory: 10, historyReadRate: { perSecond: 1, burst: 1 } },
    });
    store.positions.set('a', { epoch: 'E', offset: 25 });
    store.logs.set('a', entries(1, 25));
    feed.confirmEnd('a');
    for (let i = 0; i < 3; i += 1) await answers();
    told.news();
    for (const from of [5, 15]) {
      feed.fillIn('a', from);
      await answers();
    }
    expect(told.news()).toEqual([
      'history a 5,6,7,8,9,10,11,12,13,14',
      'history a 15,16,17,18,19,20,21,22,23,24',
    ]);
  });

  it('is not read again and again from a server that has not gone so far', async () => {
    const { store, feed, told, publish } = await live();
    publish(5);
    await answers();
    told.news();
    const read = store.readHistory.bind(store);
    store.readHistory = async (name, from, limit) => {
      const page = await read(name, from, limit);
      return { ...page, position: { epoch: 'E', offset: 4 } };
    };
    feed.readHistory('a', 1);
    for (let i = 0; i < 10; i += 1) await answers();
    expect(store.calls.filter((call) => call.startsWith('history'))).toHaveLength(1);
    store.readHistory = read;
    await tick();
    expect(told.news()).toEqual(['history a 1,2,3,4,5']);
  });
});

describe('Hub: a channel that stays lost when the others are back', () => {
  it('is acknowledged to workers that declared it meanwhile, before anything else is told of it', async () => {
    const { hub, told, worker } = await live();
    hub.message('a', Buffer.from('"plain"'));
    told.news();
    hub.linkLost('ping timeout');
    hub.refused('a', refusalOf('BUSY'));
    hub.linkRestored();
    const late = await worker();
    late.feed.declare('a');
    await answers();
    expect(late.worker.news()).toEqual([]);
    hub.subscribed(['a']);
    hub.message('a', Buffer.from('"plain"'));
    await answers();
    expect(late.worker.news()).toEqual(['acknowledged a', 'gap a link', 'published a plain']);
    expect(told.news()).toEqual(['degraded', 'restored', 'gap a link', 'published a plain']);
  });

  it.each([
    ['refused again', (under: LiveHub) => under.hub.refused('a', refusalOf('BUSY'))],
    ['cut off', (under: LiveHub) => under.hub.linkLost('again')],
  ])('is refused to a caller that only waits for it when it is %s', async (_, fail) => {
    const under = await live();
    const { hub, worker } = under;
    hub.linkLost('ping timeout');
    hub.refused('a', refusalOf('BUSY'));
    hub.linkRestored();
    const late = await worker();
    late.feed.declare('a');
    await answers();
    fail(under);
    expect(late.worker.news()[0]).toBe('refused a unavailable');
    expect(hub.channels, 'the other one still wants it').toBe(1);
  });
});
