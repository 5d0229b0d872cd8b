import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  answers,
  createHub,
  type HubUnderTest,
  type RecordedFeed,
  type RecordingWorker,
} from './testing/hub-under-test.ts';
import { entries, sequenced } from './testing/live-hub.ts';

let under: HubUnderTest;
let feed: RecordedFeed;
let worker: RecordingWorker;
let shards: Map<string, string>;

/** Two shards, both up: `a` and `b` are on the first one, `c` is on the second one. Each is at offset 4 of epoch E. */
beforeEach(async () => {
  under = createHub({}, false);
  const { hub, source, store } = under;
  shards = new Map([
    ['a', 'one'],
    ['b', 'one'],
    ['c', 'two'],
  ]);
  Object.assign(source, { linkOf: (channel: string) => shards.get(channel) });
  for (const link of ['one', 'two']) {
    hub.linkAdded(link);
    hub.linkRestored(link);
  }
  ({ feed, worker } = await under.worker());
  for (const channel of ['a', 'b', 'c']) {
    store.positions.set(channel, { epoch: 'E', offset: 4 });
    store.logs.set(channel, entries(1, 4));
    feed.declare(channel);
  }
  hub.subscribed(['a', 'b'], 'one');
  hub.subscribed(['c'], 'two');
  await answers();
  worker.news();
});

afterEach(() => under.hub.stop());

describe('a hub on several shards', () => {
  it('goes on with the other shards while one is away, and says which channels are cut off', async () => {
    const { hub } = under;
    hub.linkLost('frozen', 'one');
    hub.message('c', sequenced(5));
    expect(worker.news()).toEqual(['degraded a,b', 'published c 5']);
    expect(hub.shards).toEqual({ all: 2, up: 1, away: ['one'] });
    expect(hub.degradedSince).toBeDefined();

    shards.set('d', 'one').set('e', 'two');
    feed.declare('d');
    feed.declare('e');
    await answers();
    expect(worker.news()).toEqual(['refused d unavailable']);
    expect([...under.source.wanted].toSorted()).toEqual(['a', 'b', 'c', 'e']);

    hub.linkLost('frozen', 'two');
    expect(worker.news()).toEqual(['refused e unavailable', 'degraded']);
    hub.subscribed(['c'], 'two');
    hub.linkRestored('two');
    expect(worker.news()).toEqual(['degraded a,b']);
    hub.subscribed(['a', 'b'], 'one');
    hub.linkRestored('one');
    expect(worker.news()).toEqual(['restored']);
    expect(hub.degradedSince).toBeUndefined();
  });

  it('repairs what a channel missed while its slot moved, and touches no other channel', async () => {
    const { hub, store } = under;
    shards.set('a', 'two');
    hub.moved(['a']);
    store.calls.length = 0;
    store.positions.set('a', { epoch: 'E', offset: 6 });
    store.logs.set('a', entries(1, 6));
    hub.subscribed(['a'], 'two');
    await answers();
    await answers();
    expect(worker.news()).toEqual(['acknowledged a', 'published a 5', 'published a 6'].slice(1));
    expect(store.calls.every((call) => / a( |$)/.test(call))).toBe(true);
  });

  it('says once a turn which channels moved to a shard that is away, and nothing of those that moved to one that is up', async () => {
    const { hub } = under;
    hub.linkAdded('three');
    shards.set('a', 'three').set('b', 'three').set('c', 'one');
    hub.moved(['a']);
    hub.moved(['b']);
    hub.moved(['c']);
    await answers();
    expect(worker.news()).toEqual(['degraded a,b']);
    shards.set('a', 'two');
    hub.moved(['a']);
    await answers();
    expect(worker.news()).toEqual(['degraded b']);
    hub.linkRestored('three');
    expect(worker.news()).toEqual(['restored']);
  });

  it('stays ready while masters that are promoted are not linked yet', () => {
    const { hub } = under;
    hub.linkAdded('three');
    hub.linkAdded('four');
    hub.linkRemoved('two');
    expect(hub.shards).toEqual({ all: 3, up: 1, away: ['three', 'four'] });
    expect(hub.everLinked).toBe(true);
  });

  it('follows a promoted replica: a new link, channels that move to it, and the old link gone', async () => {
    const { hub } = under;
    hub.linkLost('killed', 'one');
    expect(worker.news()).toEqual(['degraded a,b']);
    hub.linkAdded('three');
    for (const channel of ['a', 'b']) shards.set(channel, 'three');
    hub.moved(['a', 'b']);
    hub.linkRemoved('one');
    await answers();
    expect(worker.news(), 'clients know it already').toEqual([]);
    hub.subscribed(['a', 'b'], 'three');
    hub.linkRestored('three');
    expect(worker.news()).toEqual(['restored']);
    expect(under.reported.at(-1)).toMatch(/^restored \d+ three$/);
    hub.message('a', sequenced(5));
    await answers();
    expect(worker.news()).toEqual(['published a 5']);
  });

  it('says of a shard that joins while another is lost that it is linked, and restored only of the lost one', () => {
    const { hub, reported } = under;
    hub.linkLost('frozen', 'one');
    hub.linkAdded('three');
    hub.linkRestored('three');
    expect(reported.at(-1)).toMatch(/^linked \d+$/);
    hub.subscribed(['a', 'b'], 'one');
    hub.linkRestored('one');
    expect(reported.at(-1)).toMatch(/^restored \d+ one$/);
  });

  it('is restored when a shard that is away loses its slots to the others, and not by a master that comes later', async () => {
    const { hub, reported } = under;
    hub.linkLost('killed', 'one');
    for (const channel of ['a', 'b']) shards.set(channel, 'two');
    hub.moved(['a', 'b']);
    hub.subscribed(['a', 'b'], 'two');
    await answers();
    reported.length = 0;
    hub.linkRemoved('one');
    expect(reported).toEqual([expect.stringMatching(/^restored \d+$/)]);
    expect(hub.degradedSince).toBeUndefined();
    hub.linkAdded('three');
    hub.linkRestored('three');
    expect(reported.at(-1)).toMatch(/^linked \d+$/);
  });

  it('says of each shard that was lost that it is restored when another one that was away was the last to end', async () => {
    const { hub, reported } = under;
    hub.linkLost('killed', 'one');
    hub.linkLost('frozen', 'two');
    for (const channel of ['a', 'b', 'c']) shards.set(channel, 'three');
    hub.linkAdded('three');
    hub.linkRestored('three');
    hub.moved(['a', 'b', 'c']);
    hub.subscribed(['a', 'b', 'c'], 'three');
    await answers();
    reported.length = 0;
    hub.linkRemoved('one');
    hub.linkRemoved('two');
    expect(reported).toEqual([0, 0].map(() => expect.stringMatching(/^restored \d+/)));
    expect(hub.degradedSince).toBeUndefined();
  });
});
