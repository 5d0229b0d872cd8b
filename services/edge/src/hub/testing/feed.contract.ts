import type { Position } from '@tradewind/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Feed } from '../../feed.ts';

/**
 * An implementation of {@link Feed}, and what a test lets happen upstream of it. A publication's data is its offset.
 */
export interface FeedUnderTest extends AsyncDisposable {
  readonly feed: Feed;
  /** What the listener was told since the last {@link news}, one line an event as `RecordingWorker` writes it. */
  readonly told: readonly string[];
  /** The node's number and position of each channel, by its latest acknowledgement. */
  readonly refs: ReadonlyMap<string, number>;
  readonly positions: ReadonlyMap<string, Position | undefined>;
  /** Calls the feed's method; the answer is told as a line. */
  readHistory(channel: string, from: number): void;
  confirmEnd(channel: string): void;
  /** Where a channel stands in Redis. Without a call it has no history. */
  place(channel: string, position: Position): void;
  /** Redis confirms the subscription to a channel. */
  confirm(channel: string): void;
  /** Redis refuses a channel for good. */
  refuse(channel: string): void;
  /** Publishes `count` publications, which a link that is up delivers. */
  publish(channel: string, count?: number): void;
  /** Publishes one that neither the link nor history holds, and one behind it. */
  publishBehindLost(channel: string): void;
  /** Begins a new epoch with one publication, whose offset is 1. */
  beginEpoch(channel: string, epoch: string): void;
  cutOff(): void;
  /** The link is back, with all channels that are wanted. */
  restore(): void;
  /** Lets all that is on its way arrive; returns what the listener was told since the last call. */
  news(): Promise<readonly string[]>;
}

/** A feed that can deflate. */
export interface DeflatingFeedUnderTest extends FeedUnderTest {
  /** The payloads that came deflated, inflated against the reference that the listener was told last. */
  readonly inflated: readonly string[];
  /** Publishes this payload, which history does not keep. */
  publishText(channel: string, text: string): void;
}

const EPOCH = 'E';

/** What every implementation of {@link Feed} promises its listener. */
export function describeFeed(name: string, open: () => Promise<FeedUnderTest>): void {
  let under: FeedUnderTest;
  let feed: Feed;

  beforeEach(async () => {
    under = await open();
    ({ feed } = under);
  });
  afterEach(async () => {
    await under[Symbol.asyncDispose]();
  });

  /** Calls the feed, and returns what the listener was told by the time that the call had returned. */
  function toldWithin(call: () => void): readonly string[] {
    const before = under.told.length;
    call();
    return under.told.slice(before);
  }

  describe(`${name}: a declaration`, () => {
    it('is acknowledged when the channel flows, with where it stands', async () => {
      under.place('a', { epoch: EPOCH, offset: 4 });
      feed.declare('a');
      feed.declare('b');
      expect(await under.news()).toEqual([]);
      under.confirm('a');
      expect(await under.news()).toEqual(['acknowledged a']);
      under.confirm('b');
      expect(await under.news()).toEqual(['acknowledged b']);
      expect(under.positions.get('a')).toEqual({ epoch: EPOCH, offset: 4 });
      expect(under.positions.get('b'), 'it has no history').toBeUndefined();
      expect(under.refs.get('a')).not.toBe(under.refs.get('b'));
    });

    it('is acknowledged before anything that is newer than its position, and then all of that is told', async () => {
      under.place('a', { epoch: EPOCH, offset: 4 });
      feed.declare('a');
      await under.news();
      under.confirm('a');
      under.publish('a', 3);
      const [first, ...others] = await under.news();
      expect(first).toBe('acknowledged a');
      const { offset = 0 } = under.positions.get('a') ?? {};
      const newer = [5, 6, 7].filter((each) => each > offset);
      expect(others).toEqual(newer.map((each) => `published a ${each}`));
    });

    it('is answered once where it was taken back and made again meanwhile', async () => {
      feed.declare('a');
      await under.news();
      feed.drop('a');
      feed.declare('a');
      under.confirm('a');
      expect(await under.news()).toEqual(['acknowledged a']);
    });

    it('is answered once where an older one is refused meanwhile', async () => {
      feed.declare('a');
      await under.news();
      feed.drop('a');
      feed.declare('a');
      under.refuse('a');
      const told = [...(await under.news())];
      under.confirm('a');
      told.push(...(await under.news()));
      // The refusal is of the present one where the upstream had heard of it.
      expect(told).toHaveLength(1);
      expect(told[0]).toMatch(/^(refused a unavailable|acknowledged a)$/);
    });

    it('is not answered any more when it was taken back', async () => {
      under.place('a', { epoch: EPOCH, offset: 4 });
      feed.declare('a');
      await under.news();
      feed.drop('a');
      under.confirm('a');
      under.publish('a');
      expect(await under.news()).toEqual([]);
    });

    it('that is refused counts as dropped, and may be made again', async () => {
      await hold(under, 'a');
      under.refuse('a');
      under.publish('a');
      expect(await under.news()).toEqual(['refused a unavailable']);
      feed.declare('a');
      await under.news();
      under.confirm('a');
      expect(await under.news()).toEqual(['acknowledged a']);
    });
  });

  describe(`${name}: a channel`, () => {
    it('is told in its order, whatever happens to others', async () => {
      await hold(under, 'a');
      await hold(under, 'b');
      under.publish('a');
      under.publish('b');
      under.publish('a');
      const told = await under.news();
      expect(told.filter((line) => line.includes(' a '))).toEqual([
        'published a 5',
        'published a 6',
      ]);
      expect(told).toContain('published b 5');
    });

    it('is silent when it was dropped, also where something was on its way', async () => {
      await hold(under, 'a');
      await hold(under, 'b');
      under.publish('a');
      under.readHistory('a', 1);
      const before = under.told.length;
      feed.drop('a');
      under.publish('a');
      under.publish('b');
      expect((await under.news()).slice(before)).toEqual(['published b 5']);
    });

    it('is silent from its drop until it is acknowledged again', async () => {
      await hold(under, 'a');
      under.publish('a');
      const before = under.told.length;
      feed.drop('a');
      feed.declare('a');
      await Promise.resolve();
      under.publish('a');
      under.confirm('a');
      const told = await under.news();
      expect(told[before]).toBe('acknowledged a');
    });

    it('tells what will not arrive before what is newer', async () => {
      await hold(under, 'a');
      under.publish('a');
      under.publishBehindLost('a');
      under.publish('a');
      expect(await under.news()).toEqual([
        'published a 5',
        'gap a 6-6 trimmed',
        'published a 7',
        'published a 8',
      ]);
    });

    it('tells a new epoch before anything of it', async () => {
      await hold(under, 'a');
      under.publish('a');
      expect(await under.news()).toEqual(['published a 5']);
      under.beginEpoch('a', 'F');
      under.publish('a');
      expect(await under.news()).toEqual(['resync a F 0', 'published a 1', 'published a 2']);
    });
  });

  describe(`${name}: a request for the past`, () => {
    it('is answered once its call has returned, up to what was published before', async () => {
      await hold(under, 'a');
      under.publish('a', 2);
      await under.news();
      expect(toldWithin(() => under.readHistory('a', 3))).toEqual([]);
      expect(await under.news()).toEqual(['history a 3,4,5,6']);
      under.publish('a');
      expect(await under.news()).toEqual(['published a 7']);
    });

    it('is answered with nothing that is newer than what was published on the feed before', async () => {
      await hold(under, 'a');
      under.publish('a');
      under.readHistory('a', 1);
      under.publish('a', 2);
      let last = 4;
      for (const line of await under.news()) {
        const [event, , offsets = ''] = line.split(' ');
        const newest = Number(offsets.split(',').at(-1));
        if (event === 'published') last += 1;
        expect(newest, line).toBeLessThanOrEqual(last);
        if (event === 'published') expect(newest).toBe(last);
        else expect(newest, 'all until the request').toBeGreaterThanOrEqual(5);
      }
      expect(last).toBe(7);
    });

    it('names what nobody can have in its place', async () => {
      await hold(under, 'a');
      under.publishBehindLost('a');
      await under.news();
      under.readHistory('a', 3);
      expect(await under.news()).toEqual(['history a 3,4,trimmed 5-5,6']);
    });

    it('brings nothing when it is about the end, and comes behind all until there', async () => {
      await hold(under, 'a');
      under.publish('a', 2);
      expect(toldWithin(() => under.confirmEnd('a'))).toEqual([]);
      expect(await under.news()).toEqual(['published a 5', 'published a 6', 'end a confirmed']);
    });

    it('is answered with a code where the channel has no position', async () => {
      feed.declare('a');
      await under.news();
      under.confirm('a');
      await under.news();
      expect(toldWithin(() => under.readHistory('a', 1))).toEqual([]);
      expect(await under.news()).toEqual(['history a unavailable']);
    });

    it('is not answered once its channel was dropped and declared again', async () => {
      feed.declare('a');
      await under.news();
      under.confirm('a');
      await under.news();
      under.readHistory('a', 1);
      feed.drop('a');
      feed.declare('a');
      under.confirm('a');
      expect(await under.news()).toEqual(['acknowledged a']);
    });

    it('may be followed by another', async () => {
      await hold(under, 'a');
      under.readHistory('a', 3);
      expect(await under.news()).toEqual(['history a 3,4']);
      under.readHistory('a', 4);
      expect(await under.news()).toEqual(['history a 4']);
    });
  });

  describe(`${name}: a node that is cut off`, () => {
    it('says so, refuses what is not acknowledged, and says when it is back', async () => {
      await hold(under, 'a');
      feed.declare('b');
      await under.news();
      under.cutOff();
      expect(new Set(await under.news())).toEqual(new Set(['refused b unavailable', 'degraded']));
      expect(toldWithin(() => feed.declare('c'))).toEqual([]);
      expect(await under.news()).toEqual(['refused c unavailable']);
      under.restore();
      expect(await under.news()).toEqual(['restored']);
    });

    it('tells what was published meanwhile before anything newer', async () => {
      await hold(under, 'a');
      under.cutOff();
      under.publish('a', 2);
      under.restore();
      under.publish('a');
      const told = await under.news();
      expect(told.filter((line) => line.includes(' a '))).toEqual([
        'published a 5',
        'published a 6',
        'published a 7',
      ]);
    });

    it('answers each request for the end, with a code', async () => {
      await hold(under, 'a');
      under.confirmEnd('a');
      under.cutOff();
      expect(await under.news()).toContain('end a unavailable');
      under.confirmEnd('a');
      expect(await under.news()).toEqual(['end a unavailable']);
    });
  });
}

/** What every implementation of {@link Feed} that can deflate promises its listener. */
export function describeDeflating(name: string, open: () => Promise<DeflatingFeedUnderTest>): void {
  let under: DeflatingFeedUnderTest;

  beforeEach(async () => {
    under = await open();
  });
  afterEach(async () => {
    await under[Symbol.asyncDispose]();
  });

  describe(`${name}: deflated publications`, () => {
    const textOf = (n: number) => `"trade ${n} of ETH at 1666.8 for 26.062, bought"`;

    it('come while they are wanted, each reference before the first that needs it', async () => {
      await hold(under, 'a');
      under.publishText('a', textOf(1));
      under.feed.wantDeflated('a', true);
      await under.news();
      for (const n of [2, 3, 4]) under.publishText('a', textOf(n));
      expect((await under.news()).map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
        'published a',
        'reference 1',
        'published a',
        'published a',
      ]);
      expect(under.inflated).toEqual([3, 4].map(textOf));
      under.feed.wantDeflated('a', false);
      await under.news();
      under.publishText('a', textOf(5));
      expect(await under.news()).toHaveLength(1);
      expect(under.inflated).toHaveLength(2);
    });

    it('have references with numbers that go on when they are wanted again', async () => {
      await hold(under, 'a');
      for (const _ of [1, 2]) {
        under.feed.wantDeflated('a', true);
        await under.news();
        for (const n of [1, 2, 3]) under.publishText('a', textOf(n));
        under.feed.wantDeflated('a', false);
        await under.news();
      }
      expect(under.told.length).toBe(0);
      under.feed.wantDeflated('a', true);
      await under.news();
      for (const n of [1, 2]) under.publishText('a', textOf(n));
      expect(await under.news()).toContain('reference 3 of a');
    });

    it('do not come for a channel that is not wanted, or no longer', async () => {
      under.feed.wantDeflated('a', true);
      under.feed.wantDeflated('a', false);
      await hold(under, 'a');
      under.feed.wantDeflated('a', true);
      under.feed.drop('a');
      under.feed.declare('a');
      await under.news();
      for (const n of [1, 2, 3]) under.publishText('a', textOf(n));
      await under.news();
      expect(under.inflated).toEqual([]);
    });
  });
}

/** Declares a channel that stands at offset 4, and returns when it is acknowledged. */
async function hold(under: FeedUnderTest, channel: string): Promise<void> {
  under.place(channel, { epoch: EPOCH, offset: 4 });
  under.feed.declare(channel);
  await under.news();
  under.confirm(channel);
  expect(await under.news()).toEqual([`acknowledged ${channel}`]);
}
