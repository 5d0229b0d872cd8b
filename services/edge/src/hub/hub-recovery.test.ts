import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  answers,
  createHub,
  type HubUnderTest,
  refusalOf,
  StoreError,
} from './testing/hub-under-test.ts';
import { createLiveHub, entries, entry, type LiveHub, NOW, sequenced } from './testing/live-hub.ts';

const PASSING = new StoreError('passing');
const LASTING = new StoreError('lasting');

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

async function live(): Promise<LiveHub> {
  const under = await createLiveHub();
  onTestFinished(() => under.hub.stop());
  return under;
}

async function tick(): Promise<void> {
  vi.advanceTimersByTime(TICK_MS);
  await answers();
}

function reportsOf({ reported }: HubUnderTest): string[] {
  return reported.splice(0).filter((line) => !line.startsWith('received'));
}

describe('Hub: publications that follow', () => {
  it('go out in the turn in which they came, and nothing is read', async () => {
    const { store, told, publish } = await live();
    publish(5, 6);
    expect(told.news()).toEqual(['published a 5', 'published a 6']);
    await answers();
    expect(store.calls).toEqual([]);
  });

  it('wait behind headers that do not follow, for one read', async () => {
    const { hub, store, told, publish, ...rest } = await live();
    for (const offset of [500, 600]) hub.message('a', sequenced(offset));
    hub.message('a', sequenced(1, 'F'));
    publish(5);
    expect(told.news()).toEqual([]);
    await answers();
    expect(store.calls).toEqual(['positions a']);
    expect(told.news()).toEqual(['published a 5']);
    expect(reportsOf({ hub, store, ...rest })).toEqual([
      ...['header rejected a unconfirmed', 'header rejected a unconfirmed'],
      'header rejected a foreign_epoch',
    ]);
  });
});

describe('Hub: without the right to read where a channel stands', () => {
  it('lets go of a channel that was delivered with offsets, and says so', async () => {
    const { hub, store, told, feed, ...rest } = await live();
    store.faults.positions = LASTING;
    hub.message('a', sequenced(6));
    hub.message('a', Buffer.from('"plain"'));
    // A caller that waits for the channel's end must not get another answer first.
    feed.confirmEnd('a');
    await answers();
    expect(told.news()).toEqual(['refused a unavailable']);
    expect(hub.channels).toBe(0);
    expect(reportsOf({ hub, store, ...rest })).toEqual(['recovery refused a']);
  });

  it('delivers all messages without offsets to workers that subscribe meanwhile', async () => {
    const { hub, store, reported, worker } = createHub();
    onTestFinished(() => hub.stop());
    store.faults.positions = LASTING;
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    hub.message('a', sequenced(5));
    hub.message('a', Buffer.from('"plain"'));
    hub.message('a', sequenced(6));
    feed.confirmEnd('a');
    await answers();
    expect(told.news()).toEqual([
      ...['acknowledged a', 'published a 5', 'published a plain', 'published a 6'],
      'end a not_available',
    ]);
    expect(hub.channels).toBe(1);
    expect(reported.filter((line) => line.startsWith('recovery'))).toHaveLength(2);
  });

  it('keeps the other channels, which are read together with it', async () => {
    const { hub, store, worker } = createHub();
    onTestFinished(() => hub.stop());
    const { feed, worker: told } = await worker();
    for (const name of ['a', 'b', 'c']) {
      store.positions.set(name, { epoch: 'E', offset: 4 });
      feed.declare(name);
    }
    const readAll = store.readPositions.bind(store);
    hub.subscribed(['a', 'b', 'c']);
    await answers();
    told.news();
    store.readPositions = async (names) => {
      if (names.includes('b')) throw LASTING;
      return await readAll(names);
    };
    for (const name of ['a', 'b', 'c']) {
      store.positions.set(name, { epoch: 'E', offset: 6 });
      store.logs.set(name, [entry(5)]);
      hub.message(name, sequenced(6));
    }
    for (let i = 0; i < 4; i += 1) await answers();
    expect(told.news().toSorted()).toEqual([
      ...['published a 5', 'published a 6', 'published c 5', 'published c 6'],
      'refused b unavailable',
    ]);
  });
});

describe('Hub: what Redis refuses to recovery', () => {
  it('tries again after a passing fault, and reports each attempt', async () => {
    const channel = await live();
    const { store, told, publish } = channel;
    store.faults.history = PASSING;
    store.positions.set('a', { epoch: 'E', offset: 5 });
    store.logs.set('a', entries(1, 5));
    publish(6);
    await answers();
    await tick();
    expect(reportsOf(channel)).toEqual([
      ...['history read repair', 'recovery delayed a passing'],
      ...['history read repair', 'recovery delayed a passing'],
    ]);
    expect(told.news()).toEqual([]);
    delete store.faults.history;
    await tick();
    expect(told.news()).toEqual(['published a 5', 'published a 6']);
  });

  it('continues without history after a lasting fault', async () => {
    const channel = await live();
    const { store, told, publish } = channel;
    store.faults.history = LASTING;
    publish(6);
    await answers();
    expect(told.news()).toEqual(['gap a 5-5 link', 'published a 6']);
    expect(reportsOf(channel)).toEqual([
      ...['history read repair', 'recovery refused a', 'lost a 1 link'],
    ]);
  });

  it('continues in the old epoch where no new one can be started, and tells a loss', async () => {
    const { hub, source, store, told, publish } = await live();
    publish(5, 6);
    await answers();
    told.news();
    hub.linkLost('failover');
    source.identity = 'server-2';
    store.positions.set('a', { epoch: 'E', offset: 5 });
    store.logs.set('a', entries(1, 5));
    store.faults.epoch = LASTING;
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 4; i += 1) await answers();
    expect(told.news()).toEqual(['degraded', 'restored', 'gap a link', 'resync a E 5']);
    publish(6);
    await answers();
    expect(told.news()).toEqual(['published a 6']);
  });

  it('does not swallow a defect of its own', async () => {
    const { store, publish } = await live();
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    onTestFinished(() => {
      for (const listener of others) process.on('unhandledRejection', listener);
    });
    const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve));
    store.faults.history = new TypeError('a defect');
    publish(6);
    expect(await unhandled).toBe(store.faults.history);
  });
});

describe('Hub: two connections to Redis', () => {
  it('compares only when both lead to the same server', async () => {
    const channel = await live();
    const { hub, source, store, told, publish } = channel;
    publish(5);
    await answers();
    told.news();
    hub.linkLost('failover');
    source.identity = 'server-2';
    store.linksLeadToOneServer = false;
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 3; i += 1) await answers();
    store.calls.length = 0;
    await tick();
    expect(store.calls, 'the other one is not asked').toEqual([]);
    expect(reportsOf(channel).at(-1)).toMatch(/^recovery delayed a .* different servers/);
    store.logs.set('a', [...entries(1, 4), entry(5, '"again"')]);
    store.linksLeadToOneServer = true;
    await tick();
    await answers();
    expect(told.news()).toEqual(['degraded', 'restored', 'resync a new1 4', 'published a again']);
  });

  it('does not use a page that shows less than the position', async () => {
    const { store, told, publish } = await live();
    const read = store.readHistory.bind(store);
    store.readHistory = async (name, from, limit) => {
      await read(name, from, limit);
      return { position: { epoch: 'E', offset: 4 }, publications: [] };
    };
    publish(6);
    await answers();
    await answers();
    expect(store.calls.filter((call) => call.startsWith('history'))).toHaveLength(1);
    expect(told.news()).toEqual([]);
    store.readHistory = read;
    store.logs.set('a', entries(5, 6));
    await tick();
    await answers();
    expect(told.news()).toEqual(['published a 5', 'published a 6']);
  });

  it('starts one epoch a tick at most where another server has one already', async () => {
    const { hub, source, store, publish } = await live();
    publish(5, 6);
    await answers();
    hub.linkLost('failover');
    source.identity = 'server-2';
    store.positions.set('a', { epoch: 'E', offset: 5 });
    store.startEpoch = async () => {
      store.calls.push('epoch');
      return false;
    };
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 10; i += 1) await answers();
    expect(store.calls.filter((call) => call === 'epoch')).toHaveLength(1);
    await tick();
    for (let i = 0; i < 10; i += 1) await answers();
    expect(store.calls.filter((call) => call === 'epoch')).toHaveLength(2);
  });
});

describe('Hub: a channel that missed a link', () => {
  it('is compared although the link was lost again since the failover', async () => {
    const { hub, source, store, told, publish } = await live();
    publish(5);
    await answers();
    told.news();
    hub.linkLost('failover');
    source.identity = 'server-2';
    hub.refused('a', refusalOf('BUSY'));
    hub.linkRestored();
    await answers();
    hub.linkLost('again');
    store.logs.set('a', [...entries(1, 4), entry(5, '"again"')]);
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 4; i += 1) await answers();
    expect(told.news().slice(-2)).toEqual(['resync a new1 4', 'published a again']);
  });
});

describe('Hub: many channels that recover', () => {
  it('serves all channels that wait, although some of them need nothing any more', async () => {
    const { hub, store, worker } = createHub();
    onTestFinished(() => hub.stop());
    const { feed, worker: told } = await worker();
    const names = Array.from({ length: 40 }, (_, i) => `c${i}`);
    for (const name of names) {
      store.positions.set(name, { epoch: 'E', offset: 4 });
      feed.declare(name);
    }
    hub.subscribed(names);
    await answers();
    told.news();
    const resolves: (() => void)[] = [];
    store.readHistory = (name) => {
      store.calls.push(`history ${name}`);
      const page = { position: store.positions.get(name), publications: [entry(5)] };
      return new Promise((resolve) => resolves.push(() => resolve(page)));
    };
    for (const name of names) {
      store.positions.set(name, { epoch: 'E', offset: 5 });
      feed.readHistory(name, 1);
    }
    await answers();
    expect(resolves).toHaveLength(16);
    // No worker wants the next ones in the line any more.
    for (const name of names.slice(16, 32)) feed.drop(name);
    for (let round = 0; round < 4; round += 1) {
      for (const resolve of resolves.splice(0)) resolve();
      await answers();
    }
    const answered = told.news().filter((line) => line.startsWith('history'));
    expect(answered).toHaveLength(24);
  });
});

describe('Hub: old offsets that seem to be handed out again', () => {
  it('are looked into once a tick, however many are forged', async () => {
    const { hub, store, told, publish } = await live();
    publish(5);
    await answers();
    told.news();
    store.calls.length = 0;
    for (let i = 0; i < 20; i += 1) {
      hub.message('a', sequenced(3, 'E', NOW + 1_000 + i));
      await answers();
    }
    expect(store.calls).toEqual([]);
    await tick();
    await answers();
    expect(store.calls.filter((call) => call.startsWith('history'))).toEqual(['history a 5']);
    publish(6);
    await answers();
    expect(told.news()).toEqual(['published a 6']);
  });

  it('are found where they were handed out again', async () => {
    const { hub, store, told, publish } = await live();
    publish(5, 6);
    await answers();
    told.news();
    const again = [5, 6, 7].map((offset) => ({
      ...entry(offset, '"again"'),
      publishedAt: NOW + 60 + offset,
    }));
    store.positions.set('a', { epoch: 'E', offset: 7 });
    store.logs.set('a', [...entries(1, 4), ...again]);
    hub.message('a', sequenced(5, 'E', NOW + 65));
    await tick();
    for (let i = 0; i < 4; i += 1) await answers();
    const twice = Array.from({ length: 3 }, () => 'published a again');
    expect(told.news()).toEqual(['resync a new1 4', ...twice]);
  });
});
