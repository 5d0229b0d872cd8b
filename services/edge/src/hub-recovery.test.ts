import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { HistoryEntry } from './arrival.ts';
import { END_OF_CHANNEL, type Feed } from './feed.ts';
import {
  ArchiveError,
  answers,
  createHub,
  type HubUnderTest,
  type RecordingWorker,
  refusalOf,
} from './testing/hub-under-test.ts';

const NOW = 1_795_416_898_000;

/** One look at all that failed, or is suspected. */
const TICK_MS = 250;

const PASSING = new ArchiveError('passing');
const LASTING = new ArchiveError('lasting');

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

/** When a publication was: those before the tests long ago. */
function timeOf(offset: number): number {
  return offset > 4 ? NOW + offset : NOW - 60_000 + offset;
}

function entry(offset: number, text = String(offset)): HistoryEntry {
  return { offset, publishedAt: timeOf(offset), payload: Buffer.from(text) };
}

function entries(from: number, to: number): HistoryEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i));
}

function sequenced(offset: number, epoch = 'E', publishedAt = timeOf(offset)): Buffer {
  return Buffer.from(`@1:${epoch}:${offset}:${publishedAt};${offset}`);
}

interface Live extends HubUnderTest {
  readonly feed: Feed;
  readonly told: RecordingWorker;
  /** Publishes these offsets of epoch E with all that belongs to it. */
  publish(...offsets: number[]): void;
  tick(): Promise<void>;
}

/** A hub with the channel `a` at offset 4 of epoch E. */
async function live(changes: Parameters<typeof createHub>[0] = {}): Promise<Live> {
  const under = createHub(changes);
  onTestFinished(() => under.hub.stop());
  const { hub, archive } = under;
  archive.positions.set('a', { epoch: 'E', offset: 4 });
  archive.logs.set('a', entries(1, 4));
  const { feed, worker: told } = await under.worker();
  feed.declare('a');
  hub.subscribed(['a']);
  await answers();
  expect(told.news()).toEqual(['acknowledged a']);
  archive.calls.length = 0;
  under.reported.length = 0;
  return {
    ...{ ...under, feed, told },
    publish(...offsets) {
      archive.positions.set('a', { epoch: 'E', offset: offsets.at(-1)! });
      archive.logs.set('a', [...archive.logs.get('a')!, ...offsets.map((offset) => entry(offset))]);
      for (const offset of offsets) hub.message('a', sequenced(offset));
    },
    async tick() {
      vi.advanceTimersByTime(TICK_MS);
      await answers();
    },
  };
}

function reportsOf({ reported }: HubUnderTest): string[] {
  return reported.splice(0).filter((line) => !line.startsWith('received'));
}

describe('Hub: without the right to read where a channel stands', () => {
  it('gives up a channel that flowed with offsets, and says so', async () => {
    const { hub, archive, told, ...rest } = await live();
    archive.faults.positions = LASTING;
    hub.message('a', sequenced(5));
    hub.message('a', Buffer.from('"plain"'));
    await answers();
    expect(told.news()).toEqual(['refused a unavailable']);
    expect(hub.channels).toBe(0);
    expect(reportsOf({ hub, archive, ...rest })).toEqual(['recovery refused a']);
  });

  it('passes on all that comes, without offsets, to whoever subscribes meanwhile', async () => {
    const { hub, archive, reported, worker } = createHub();
    onTestFinished(() => hub.stop());
    archive.faults.positions = LASTING;
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    hub.message('a', sequenced(5));
    hub.message('a', Buffer.from('"plain"'));
    hub.message('a', sequenced(6));
    feed.history('a', END_OF_CHANNEL);
    await answers();
    expect(told.news()).toEqual([
      ...['acknowledged a', 'published a 5', 'published a plain', 'published a 6'],
      'history a not_available',
    ]);
    expect(hub.channels).toBe(1);
    expect(reported.filter((line) => line.startsWith('recovery'))).toHaveLength(2);
  });

  it('keeps the other channels, which are asked about together with it', async () => {
    const { hub, archive, worker } = createHub();
    onTestFinished(() => hub.stop());
    const { feed, worker: told } = await worker();
    for (const name of ['a', 'b', 'c']) {
      archive.positions.set(name, { epoch: 'E', offset: 4 });
      feed.declare(name);
    }
    const readAll = archive.readPositions.bind(archive);
    hub.subscribed(['a', 'b', 'c']);
    await answers();
    told.news();
    archive.readPositions = async (names) => {
      if (names.includes('b')) throw LASTING;
      return await readAll(names);
    };
    for (const name of ['a', 'b', 'c']) {
      archive.positions.set(name, { epoch: 'E', offset: 5 });
      hub.message(name, sequenced(5));
    }
    for (let i = 0; i < 4; i += 1) await answers();
    expect(told.news().toSorted()).toEqual([
      ...['published a 5', 'published c 5', 'refused b unavailable'],
    ]);
  });
});

describe('Hub: what Redis refuses to recovery', () => {
  it('waits for what passes, and tells of each attempt', async () => {
    const channel = await live();
    const { archive, told, publish, tick } = channel;
    archive.faults.history = PASSING;
    archive.positions.set('a', { epoch: 'E', offset: 5 });
    archive.logs.set('a', entries(1, 5));
    publish(6);
    await answers();
    await tick();
    expect(reportsOf(channel)).toEqual([
      ...['history read repair', 'recovery delayed a passing'],
      ...['history read repair', 'recovery delayed a passing'],
    ]);
    expect(told.news()).toEqual([]);
    delete archive.faults.history;
    await tick();
    expect(told.news()).toEqual(['published a 5', 'published a 6']);
  });

  it('goes on without history where that will not pass', async () => {
    const channel = await live();
    const { archive, told, publish } = channel;
    archive.faults.history = LASTING;
    publish(6);
    await answers();
    expect(told.news()).toEqual(['gap a 5-5 link', 'published a 6']);
    expect(reportsOf(channel)).toEqual([
      ...['history read repair', 'recovery refused a', 'lost a 1 link'],
    ]);
  });

  it('goes on in the old epoch where no new one can be begun, and tells a loss', async () => {
    const { hub, source, archive, told, publish } = await live();
    publish(5, 6);
    await answers();
    told.news();
    hub.linkLost('failover');
    source.identity = 'server-2';
    archive.positions.set('a', { epoch: 'E', offset: 5 });
    archive.logs.set('a', entries(1, 5));
    archive.faults.epoch = LASTING;
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 4; i += 1) await answers();
    expect(told.news()).toEqual(['degraded', 'restored', 'gap a link', 'resync a E 5']);
    publish(6);
    await answers();
    expect(told.news()).toEqual(['published a 6']);
  });

  it('does not swallow a defect of its own', async () => {
    const { archive, publish } = await live();
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    onTestFinished(() => {
      for (const listener of others) process.on('unhandledRejection', listener);
    });
    const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve));
    archive.faults.history = new TypeError('a defect');
    publish(6);
    expect(await unhandled).toBe(archive.faults.history);
  });
});

describe('Hub: two connections to Redis', () => {
  it('compares only when both lead to the same server', async () => {
    const channel = await live();
    const { hub, source, archive, told, publish, tick } = channel;
    publish(5);
    await answers();
    told.news();
    hub.linkLost('failover');
    source.identity = 'server-2';
    archive.linksLeadToOneServer = false;
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 3; i += 1) await answers();
    archive.calls.length = 0;
    await tick();
    expect(archive.calls, 'the other one is not asked').toEqual([]);
    expect(reportsOf(channel).at(-1)).toMatch(/^recovery delayed a .* different servers/);
    archive.logs.set('a', [...entries(1, 4), entry(5, '"again"')]);
    archive.linksLeadToOneServer = true;
    await tick();
    await answers();
    expect(told.news()).toEqual(['degraded', 'restored', 'resync a new1 4', 'published a again']);
  });

  it('does not take a page for the truth that shows less than the position', async () => {
    const { archive, told, publish, tick } = await live();
    const read = archive.readHistory.bind(archive);
    archive.readHistory = async (name, from, limit) => {
      await read(name, from, limit);
      return { position: { epoch: 'E', offset: 4 }, publications: [] };
    };
    publish(6);
    await answers();
    await answers();
    expect(archive.calls.filter((call) => call.startsWith('history'))).toHaveLength(1);
    expect(told.news()).toEqual([]);
    archive.readHistory = read;
    archive.logs.set('a', entries(5, 6));
    await tick();
    await answers();
    expect(told.news()).toEqual(['published a 5', 'published a 6']);
  });

  it('does not begin epochs as fast as it can where another server has one already', async () => {
    const { hub, source, archive, publish, tick } = await live();
    publish(5, 6);
    await answers();
    hub.linkLost('failover');
    source.identity = 'server-2';
    archive.positions.set('a', { epoch: 'E', offset: 5 });
    archive.startEpoch = async () => {
      archive.calls.push('epoch');
      return false;
    };
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 10; i += 1) await answers();
    expect(archive.calls.filter((call) => call === 'epoch')).toHaveLength(1);
    await tick();
    for (let i = 0; i < 10; i += 1) await answers();
    expect(archive.calls.filter((call) => call === 'epoch')).toHaveLength(2);
  });
});

describe('Hub: a channel that missed a link', () => {
  it('is compared although the link was lost again since the failover', async () => {
    const { hub, source, archive, told, publish } = await live();
    publish(5);
    await answers();
    told.news();
    hub.linkLost('failover');
    source.identity = 'server-2';
    hub.refused('a', refusalOf('BUSY'));
    hub.linkRestored();
    await answers();
    hub.linkLost('again');
    archive.logs.set('a', [...entries(1, 4), entry(5, '"again"')]);
    hub.subscribed(['a']);
    hub.linkRestored();
    for (let i = 0; i < 4; i += 1) await answers();
    expect(told.news().slice(-2)).toEqual(['resync a new1 4', 'published a again']);
  });
});

describe('Hub: many channels that recover', () => {
  it('serves all who wait, although some of them need nothing any more', async () => {
    const { hub, archive, worker } = createHub();
    onTestFinished(() => hub.stop());
    const { feed, worker: told } = await worker();
    const names = Array.from({ length: 40 }, (_, i) => `c${i}`);
    for (const name of names) {
      archive.positions.set(name, { epoch: 'E', offset: 4 });
      feed.declare(name);
    }
    hub.subscribed(names);
    await answers();
    told.news();
    const resolves: (() => void)[] = [];
    archive.readHistory = (name) => {
      archive.calls.push(`history ${name}`);
      const page = { position: archive.positions.get(name), publications: [entry(5)] };
      return new Promise((resolve) => resolves.push(() => resolve(page)));
    };
    for (const name of names) {
      archive.positions.set(name, { epoch: 'E', offset: 5 });
      feed.history(name, 1);
    }
    await answers();
    expect(resolves).toHaveLength(16);
    // Those that are next in the line are not asked for by anybody any more.
    for (const name of names.slice(16, 32)) feed.drop(name);
    for (let round = 0; round < 4; round += 1) {
      for (const resolve of resolves.splice(0)) resolve();
      await answers();
    }
    const answered = told.news().filter((line) => line.startsWith('history'));
    expect(answered).toHaveLength(24);
  });
});

describe('Hub: what workers ask of the past', () => {
  it('is answered with a code where the channel has no position', async () => {
    const { hub, worker } = createHub();
    onTestFinished(() => hub.stop());
    const { feed, worker: told } = await worker();
    feed.declare('a');
    hub.subscribed(['a']);
    await answers();
    told.news();
    feed.history('a', 1);
    expect(told.told, 'not before the call has returned').toEqual([]);
    await answers();
    expect(told.news()).toEqual(['history a unavailable']);
  });

  it('is answered with a code while the node is cut off, where only Redis could tell', async () => {
    const { hub, feed, told } = await live();
    feed.history('a', END_OF_CHANNEL);
    hub.linkLost('ping timeout');
    feed.history('a', END_OF_CHANNEL);
    await answers();
    expect(told.news()).toEqual(['history a unavailable', 'degraded', 'history a unavailable']);
  });

  it('is answered when the position came that a repair had kept from counting', async () => {
    const { hub, archive, feed, told } = await live();
    archive.positions.set('a', { epoch: 'E', offset: 6 });
    archive.logs.set('a', entries(5, 6));
    hub.message('a', sequenced(6));
    await answers();
    feed.history('a', END_OF_CHANNEL);
    await answers();
    expect(told.news()).toEqual(['published a 5', 'published a 6', 'history a ']);
  });

  it('has no hole: what lies before one is left out', async () => {
    const { archive, feed, told } = await live();
    archive.logs.set('a', [entry(1), entry(2), entry(4)]);
    feed.history('a', 1);
    await answers();
    expect(told.news()).toEqual(['history a 4']);
  });

  it('is not read again and again from a server that has not come so far', async () => {
    const { archive, feed, told, publish, tick } = await live();
    publish(5);
    await answers();
    told.news();
    const read = archive.readHistory.bind(archive);
    archive.readHistory = async (name, from, limit) => {
      const page = await read(name, from, limit);
      return { ...page, position: { epoch: 'E', offset: 4 } };
    };
    feed.history('a', 1);
    for (let i = 0; i < 10; i += 1) await answers();
    expect(archive.calls.filter((call) => call.startsWith('history'))).toHaveLength(1);
    archive.readHistory = read;
    await tick();
    expect(told.news()).toEqual(['history a 1,2,3,4,5']);
  });
});

describe('Hub: a channel that stays lost when the others are back', () => {
  it('is acknowledged to whoever declared it meanwhile, before anything else is told of it', async () => {
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
    ['refused again', (under: Live) => under.hub.refused('a', refusalOf('BUSY'))],
    ['cut off', (under: Live) => under.hub.linkLost('again')],
  ])('is refused to whoever only waits for it when it is %s', async (_, fail) => {
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

describe('Hub: old offsets that seem to be handed out again', () => {
  it('are looked into once a tick, however many somebody forges', async () => {
    const { hub, archive, told, publish, tick } = await live();
    publish(5);
    await answers();
    told.news();
    archive.calls.length = 0;
    for (let i = 0; i < 20; i += 1) {
      hub.message('a', sequenced(3, 'E', NOW + 1_000 + i));
      await answers();
    }
    expect(archive.calls).toEqual([]);
    await tick();
    await answers();
    expect(archive.calls.filter((call) => call.startsWith('history'))).toEqual(['history a 5']);
    publish(6);
    await answers();
    expect(told.news()).toEqual(['published a 6']);
  });

  it('are found to be so where they are', async () => {
    const { hub, archive, told, publish, tick } = await live();
    publish(5, 6);
    await answers();
    told.news();
    const again = [5, 6, 7].map((offset) => ({
      ...entry(offset, '"again"'),
      publishedAt: NOW + 60 + offset,
    }));
    archive.positions.set('a', { epoch: 'E', offset: 7 });
    archive.logs.set('a', [...entries(1, 4), ...again]);
    hub.message('a', sequenced(5, 'E', NOW + 65));
    await tick();
    for (let i = 0; i < 4; i += 1) await answers();
    const twice = Array.from({ length: 3 }, () => 'published a again');
    expect(told.news()).toEqual(['resync a new1 4', ...twice]);
  });
});
