import { PublicationLog } from '@tradewind/fanout';
import type { ErrorCode, Position, RequestId, SubscribeRequest } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { rightsTo } from '../auth/rights.ts';
import { LimitGuard, type LimitName } from '../limits.ts';
import { Membership } from './membership.ts';
import { type SubscriptionLimits, Subscriptions } from './subscriptions.ts';
import { FakeUpstream, listenerOf, publicationsOf } from './testing/fake-upstream.ts';
import { createTestConnection, LIMITS, type TestConnection } from './testing/test-connection.ts';
import type { RecoveryOutcome } from './waiting-clients.ts';

describe('Subscriptions: subscribing', () => {
  it('answers when upstream has acknowledged, with its number for the channel', () => {
    const { subscribe, upstream, client } = setUp();
    subscribe(client, 1, ['a']);
    expect(client.sent()).toEqual([]);
    upstream.acknowledge(['a']);
    expect(client.sent()).toEqual([
      { type: 'subscribed', id: 1, channels: [{ channel: 'a', ref: 1 }], done: true },
    ]);
  });

  it('answers at once for a channel that already flows, with the same number', () => {
    const { subscribe, upstream, client, other, index } = setUp();
    subscribe(client, 1, ['a']);
    upstream.acknowledge(['a']);
    subscribe(other, 2, ['a']);
    expect(other.sent()).toMatchObject([{ id: 2, channels: [{ channel: 'a', ref: 1 }] }]);
    expect(index.count('a')).toBe(2);
    expect(upstream.calls).toEqual(['+a']);
  });

  it('asks upstream once for all who wait for the same channel', () => {
    const { subscribe, upstream, client, other, index } = setUp();
    subscribe(client, 1, ['a']);
    subscribe(other, 2, ['a']);
    upstream.acknowledge(['a']);
    expect(upstream.calls).toEqual(['+a']);
    expect([client, other].map((each) => each.sent().length)).toEqual([1, 1]);
    expect(index.count('a')).toBe(2);
  });

  it('answers in several frames as channels are settled, and is done with the last', () => {
    const { subscribe, upstream } = setUp();
    const client = createTestConnection({ rights: rightsTo((name) => name !== 'x') });
    subscribe(client, 1, ['a', 'x', 'b', 'c']);
    upstream.acknowledge(['b']);
    upstream.refuse(['c'], 'unavailable');
    upstream.acknowledge(['a']);
    expect(client.sent()).toEqual([
      frame(1, [], [['x', 'channel_not_allowed']], false),
      frame(1, [['b', 1]], [], false),
      frame(1, [], [['c', 'unavailable']], false),
      frame(1, [['a', 2]], [], true),
    ]);
  });

  it('packs what upstream acknowledges together into one frame', () => {
    const { subscribe, upstream, client } = setUp();
    subscribe(client, 1, ['a', 'b', 'c']);
    upstream.acknowledge(['a', 'b', 'c']);
    expect(client.sent()).toHaveLength(1);
    expect(client.sent()[0]).toMatchObject({ done: true });
  });

  it('is done at once when nothing is left to wait for', () => {
    const { subscriptions, client } = setUp();
    const rejected = [{ channel: '!!', code: 'bad_channel' as const }];
    subscriptions.subscribe(
      client.connection,
      { type: 'subscribe', id: 1, channels: [], rejected },
      0,
    );
    expect(client.sent()).toEqual([frame(1, [], [['!!', 'bad_channel']], true)]);
  });

  it('answers for a channel named twice in one request, and holds it once', () => {
    const { subscribe, upstream, client, index } = setUp();
    subscribe(client, 1, ['a', 'a']);
    upstream.acknowledge(['a']);
    expect(client.sent()).toEqual([
      frame(
        1,
        [
          ['a', 1],
          ['a', 1],
        ],
        [],
        true,
      ),
    ]);
    expect(index.subscriptions).toBe(1);
  });

  it('answers both of two requests in flight for the same channel', () => {
    const { subscribe, upstream, client, index } = setUp();
    subscribe(client, 1, ['a']);
    subscribe(client, 2, ['a', 'b']);
    upstream.acknowledge(['a']);
    upstream.acknowledge(['b']);
    expect(client.sent()).toEqual([
      frame(1, [['a', 1]], [], true),
      frame(2, [['a', 1]], [], false),
      frame(2, [['b', 2]], [], true),
    ]);
    expect(index.subscriptions).toBe(2);
  });

  it('answers for a held channel and changes nothing, even while the source is away', () => {
    const { subscribe, subscriptions, upstream, client, index } = setUp({
      maxChannelsPerClient: 1,
    });
    subscribe(client, 1, ['a']);
    upstream.acknowledge(['a']);
    subscriptions.available = false;
    subscribe(client, 2, ['a']);
    expect(client.sent().at(-1)).toEqual(frame(2, [['a', 1]], [], true));
    expect(upstream.calls).toEqual(['+a']);
    expect(index.subscriptions).toBe(1);
  });

  it('says that there is nothing to continue in a channel without history', () => {
    const { subscriptions, upstream, client } = setUp();
    const since = { epoch: 'k3x9', offset: 118 };
    const channels = [{ channel: 'a', since, history: undefined }];
    subscriptions.subscribe(client.connection, { ...request(1, []), channels }, 0);
    upstream.acknowledge(['a']);
    expect(client.sent(), 'another node may have had the first publication already').toEqual([]);
    upstream.answerEnd('a');
    expect(client.sent()).toMatchObject([
      { channels: [{ channel: 'a', recovered: false, replayed: 0, reason: 'no_history' }] },
    ]);
  });

  it('says that it got all of a history that has not begun', () => {
    const { subscriptions, upstream, client } = setUp();
    const channels = [{ channel: 'a', since: undefined, history: 20 }];
    subscriptions.subscribe(client.connection, { ...request(1, []), channels }, 0);
    upstream.acknowledge(['a']);
    expect(client.sent()).toMatchObject([
      { channels: [{ channel: 'a', recovered: true, replayed: 0 }] },
    ]);
  });
});

describe('Subscriptions: limits', () => {
  it('rejects more history than was announced, by its code', () => {
    const { subscriptions, upstream, client } = setUp({ maxHistory: 10 });
    const asked = { channel: 'a', since: undefined, history: 11 };
    subscriptions.subscribe(client.connection, { ...request(1, []), channels: [asked] }, 0);
    expect(client.sent()).toEqual([frame(1, [], [['a', 'bad_history']], true)]);
    expect(upstream.calls).toEqual([]);
  });

  it('asks each client’s own rights', () => {
    const { subscribe, upstream, other } = setUp();
    const client = createTestConnection({ rights: rightsTo((name) => name.startsWith('own/')) });
    subscribe(client, 1, ['own/a', 'b']);
    subscribe(other, 2, ['b']);
    expect(client.sent()).toEqual([frame(1, [], [['b', 'channel_not_allowed']], false)]);
    expect([...upstream.wanted]).toEqual(['own/a', 'b']);
  });

  it('takes nobody for asking who asks only for what can never be had', () => {
    const { subscriptions, subscribe, other } = setUp();
    const client = createTestConnection({ rights: rightsTo(() => false) });
    subscribe(client, 1, ['x']);
    expect(client.connection.session.hasAsked).toBe(false);
    subscriptions.available = false;
    subscribe(other, 1, ['a']);
    expect(other.connection.session.hasAsked).toBe(true);
  });

  it('counts channels that are waited for against the limit of a client', () => {
    const { subscribe, upstream, client, other } = setUp({ maxChannelsPerClient: 2 });
    subscribe(client, 1, ['a']);
    upstream.acknowledge(['a']);
    subscribe(client, 2, ['b', 'c']);
    expect(client.sent().at(-1)).toEqual(frame(2, [], [['c', 'too_many_channels']], false));
    subscribe(other, 3, ['c']);
    expect(upstream.calls).toEqual(['+a', '+b', '+c']);
  });

  it('rejects new channels as unavailable while the source is away, and holds no interest', () => {
    const { subscribe, subscriptions, upstream, client, other } = setUp();
    subscribe(other, 1, ['a']);
    upstream.acknowledge(['a']);
    subscriptions.available = false;
    subscribe(client, 2, ['a', 'b']);
    expect(client.sent()).toEqual([
      frame(
        2,
        [],
        [
          ['a', 'unavailable'],
          ['b', 'unavailable'],
        ],
        true,
      ),
    ]);
    expect(upstream.calls).toEqual(['+a']);
  });

  it('limits how many channels a client may subscribe to in a second', () => {
    const rated = createTestConnection({ subscribeRate: { perSecond: 1, burst: 2 } });
    const { subscribe, upstream } = setUp();
    subscribe(rated, 1, ['a', 'b', 'c'], 0);
    const rejected = [{ channel: 'c', code: 'rate_limited', retryAfterMs: 1_000 }];
    expect(rated.sent()).toEqual([{ ...frame(1, [], [], false), rejected }]);
    subscribe(rated, 2, ['c'], 1_000);
    expect([...upstream.wanted]).toEqual(['a', 'b', 'c']);
  });

  it('charges each mention of a channel that is waited for, and answers all that are paid at once', () => {
    const rated = createTestConnection({ subscribeRate: { perSecond: 10, burst: 3 } });
    const { subscribe, upstream, beyond } = setUp();
    subscribe(rated, 1, ['a', 'a', 'a', 'a', 'a'], 0);
    expect(rated.sent()).toMatchObject([
      {
        id: 1,
        channels: [],
        rejected: [{ retryAfterMs: 100 }, { retryAfterMs: 200 }],
        done: false,
      },
    ]);
    upstream.acknowledge();
    expect(rated.sent()[1]).toMatchObject({
      id: 1,
      channels: [{ channel: 'a' }, { channel: 'a' }, { channel: 'a' }],
      done: true,
    });
    expect(beyond).toEqual(['mentions', 'mentions']);
  });

  it('charges for a channel that is held, and for a name that is none, and answers for both', () => {
    const rated = createTestConnection({ subscribeRate: { perSecond: 1, burst: 4 } });
    const { subscribe, subscriptions, upstream } = setUp();
    subscribe(rated, 1, ['a'], 0);
    upstream.acknowledge();
    const rejected = [{ channel: '!!', code: 'bad_channel' as const }];
    subscriptions.subscribe(rated.connection, { ...request(2, ['a', 'a']), rejected }, 0);
    subscribe(rated, 3, ['a', 'b'], 0);
    expect(rated.sent().slice(1)).toMatchObject([
      { id: 2, channels: [{ channel: 'a' }, { channel: 'a' }], rejected, done: true },
      { id: 3, channels: [{ channel: 'a' }], rejected: [{ channel: 'b', code: 'rate_limited' }] },
    ]);
    expect([...upstream.wanted]).toEqual(['a']);
  });

  it('only counts what goes beyond the rate where rates are not enforced', () => {
    const rated = createTestConnection({ subscribeRate: { perSecond: 1, burst: 1 } });
    const { subscribe, upstream, beyond } = setUp({}, 1_000_000, false);
    subscribe(rated, 1, ['a', 'b', 'c'], 0);
    expect([...upstream.wanted]).toEqual(['a', 'b', 'c']);
    expect(beyond).toEqual(['mentions', 'mentions']);
  });
});

describe('Subscriptions: ending', () => {
  it('drops interest with the last subscriber, and not before', () => {
    const { subscribe, unsubscribe, upstream, client, other, index } = setUp();
    subscribe(client, 1, ['a']);
    subscribe(other, 2, ['a']);
    upstream.acknowledge(['a']);
    unsubscribe(client, 3, ['a']);
    expect(upstream.calls).toEqual(['+a']);
    expect(index.get('a')).toEqual([other.connection]);
    unsubscribe(other, 4, ['a']);
    expect(upstream.calls).toEqual(['+a', '-a']);
    expect(other.sent().at(-1)).toEqual({ type: 'unsubscribed', id: 4, channels: ['a'] });
  });

  it('cancels a subscription that is still waited for, in every request that waits', () => {
    const { subscribe, unsubscribe, upstream, client } = setUp();
    subscribe(client, 1, ['a']);
    subscribe(client, 2, ['b', 'a']);
    unsubscribe(client, 3, ['a']);
    upstream.acknowledge(['b']);
    expect(client.sent()).toEqual([
      frame(1, [], [['a', 'cancelled']], true),
      frame(2, [], [['a', 'cancelled']], false),
      { type: 'unsubscribed', id: 3, channels: ['a'] },
      frame(2, [['b', 1]], [], true),
    ]);
    expect(upstream.calls).toEqual(['+a', '+b', '-a']);
  });

  it('can subscribe again after a cancellation', () => {
    const { subscribe, unsubscribe, upstream, client, index } = setUp();
    subscribe(client, 1, ['a']);
    unsubscribe(client, 2, ['a']);
    subscribe(client, 3, ['a']);
    expect(upstream.calls).toEqual(['+a', '-a', '+a']);
    upstream.acknowledge(['a']);
    expect(client.sent().at(-1)).toEqual(frame(3, [['a', 1]], [], true));
    expect(index.count('a')).toBe(1);
  });

  it('answers an unsubscribe of what was never held', () => {
    const { unsubscribe, client, upstream } = setUp();
    unsubscribe(client, 1, ['a', '!!']);
    expect(client.sent()).toEqual([{ type: 'unsubscribed', id: 1, channels: ['a', '!!'] }]);
    expect(upstream.calls).toEqual([]);
  });

  it('forgets a connection that leaves, with what it holds and what it waits for', () => {
    const { subscribe, subscriptions, upstream, client, other, index } = setUp();
    subscribe(client, 1, ['held', 'both']);
    upstream.acknowledge(['held', 'both']);
    subscribe(other, 2, ['both']);
    subscribe(client, 3, ['pending']);
    subscriptions.removeClient(client.connection);
    expect([...upstream.wanted]).toEqual(['both']);
    expect(index.held(client.connection)).toBe(0);
    subscriptions.removeClient(client.connection);
    expect(upstream.calls).toEqual(['+held', '+both', '+pending', '-held', '-pending']);
  });

  it('drops interest when a channel was taken from its last subscriber', () => {
    const { subscribe, membership, upstream, client, other } = setUp();
    subscribe(client, 1, ['a']);
    subscribe(other, 2, ['a']);
    upstream.acknowledge(['a']);
    membership.leave(client.connection, 'a', 'channel_not_allowed');
    expect(upstream.calls).toEqual(['+a']);
    membership.leave(other.connection, 'a', 'channel_not_allowed');
    expect(upstream.calls).toEqual(['+a', '-a']);
  });

  it('rejects whoever waits for a refused channel and tells whoever holds one', () => {
    const { subscribe, upstream, client, other, index } = setUp();
    subscribe(client, 1, ['a', 'b']);
    upstream.acknowledge(['a', 'b']);
    subscribe(client, 2, ['c']);
    subscribe(other, 3, ['c', 'd']);
    upstream.refuse(['a', 'b', 'c'], 'unavailable');
    expect(client.sent().slice(1)).toEqual([
      frame(2, [], [['c', 'unavailable']], true),
      { type: 'unsubscribed', channels: ['a', 'b'], reason: 'unavailable' },
    ]);
    expect(other.sent()).toEqual([frame(3, [], [['c', 'unavailable']], false)]);
    expect(index.subscriptions).toBe(0);
    expect(upstream.calls, 'refused counts as dropped').toEqual(['+a', '+b', '+c', '+d']);
  });

  it('declares a refused channel anew when someone asks again', () => {
    const { subscribe, upstream, client } = setUp();
    subscribe(client, 1, ['a']);
    upstream.refuse(['a'], 'node_channels_full');
    subscribe(client, 2, ['a']);
    upstream.acknowledge(['a']);
    expect(client.sent().at(-1)).toEqual(frame(2, [['a', 1]], [], true));
    expect(upstream.calls).toEqual(['+a', '+a']);
  });
});

describe('Subscriptions: replay', () => {
  /** What a client was sent, in short: answers by their ids, publications by their offsets. */
  function story({ sink }: TestConnection): unknown[] {
    return sink.frames
      .map(({ payload }) => JSON.parse(payload.toString()) as Record<string, unknown>)
      .map(({ id, offset }) => (offset === undefined ? `answer ${id}` : offset));
  }

  it('sends the answer first, what it promises right behind, and each client its own part', () => {
    const { resume, upstream, client, other, recovered } = setUp();
    resume(client, 1, { epoch: EPOCH, offset: 97 });
    resume(other, 2, { epoch: EPOCH, offset: 98 });
    upstream.acknowledge(['a'], position);
    expect(upstream.calls).toEqual(['+a', '?a 98']);
    upstream.answer('a', EPOCH, publicationsOf('a', 98, 100));
    expect(story(client)).toEqual(['answer 1', 98, 99, 100]);
    expect(story(other)).toEqual(['answer 2', 99, 100]);
    expect(recovered).toEqual(['recovered', 'recovered']);
  });

  it('answers a second request of the same client with the position alone', () => {
    const { resume, upstream, client } = setUp();
    resume(client, 1, { epoch: EPOCH, offset: 98 });
    resume(client, 2, { epoch: EPOCH, offset: 90 });
    upstream.acknowledge(['a'], position);
    upstream.answer('a', EPOCH, publicationsOf('a', 99, 100));
    expect(story(client)).toEqual(['answer 1', 'answer 2', 99, 100]);
    expect(client.sent()[1]).toEqual({
      ...{ type: 'subscribed', id: 2, done: true },
      channels: [{ channel: 'a', ref: 1, ...position }],
    });
  });

  it('sends nothing to whoever cancels before the answer comes', () => {
    const { resume, unsubscribe, upstream, client, other } = setUp();
    resume(client, 1, { epoch: EPOCH, offset: 97 });
    resume(other, 2, { epoch: EPOCH, offset: 98 });
    upstream.acknowledge(['a'], position);
    unsubscribe(client, 3, ['a']);
    upstream.answer('a', EPOCH, publicationsOf('a', 98, 100));
    expect(story(client)).toEqual(['answer 1', 'answer 3']);
    expect(story(other)).toEqual(['answer 2', 99, 100]);
  });

  it('asks about a few channels at a time, and goes on with the others as answers come', async () => {
    const { subscriptions, upstream, client } = setUp();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const since = { epoch: EPOCH, offset: 99 };
    const channels = names.map((channel) => ({ channel, since, history: undefined }));
    subscriptions.subscribe(client.connection, { ...request(1, []), channels }, 0);
    upstream.acknowledge(names, position);
    expect([...upstream.questions.keys()]).toEqual(['a', 'b', 'c', 'd']);
    upstream.answer('a', EPOCH, publicationsOf('a', 100, 100));
    subscriptions.removeClient(client.connection);
    expect(upstream.questions.size).toBe(0);
    await undefined;
    expect(upstream.wanted.size).toBe(0);

    const other = createTestConnection();
    subscriptions.subscribe(other.connection, { ...request(1, []), channels }, 0);
    upstream.acknowledge(names, position);
    for (let left = names.length; left > 0; left -= 1) {
      const [next] = [...upstream.questions.keys()] as [string];
      upstream.answer(next, EPOCH, publicationsOf(next, 100, 100));
      await undefined;
    }
    expect(story(other).filter((one) => one === 100)).toHaveLength(names.length);
  });

  describe('beyond the budget', () => {
    const since = { epoch: EPOCH, offset: 90 };
    const past = publicationsOf('a', 91, 100);
    const historyBytes = past.reduce((sum, { body }) => sum + body.length + 16, 0);

    /** A client that was replayed ten publications on an allowance of one byte, and then left the channel. */
    function setUpOwing(enforcesRates = true) {
      const replayRate = { perSecond: 100, burst: 1 };
      const parts = setUp({ replayRate }, 1_000_000, enforcesRates);
      const { log, resume, unsubscribe, upstream } = parts;
      const client = createTestConnection({ log });
      resume(client, 1, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, past);
      expect(story(client).slice(1)).toEqual(past.map(({ offset }) => offset));
      unsubscribe(client, 2, ['a']);
      return { ...parts, client };
    }

    it('finishes what was begun, then says when to ask again, and asks nothing of the node', () => {
      const { clock, client, resume, upstream, beyond } = setUpOwing();
      resume(client, 3, since);
      upstream.acknowledge(['a'], position);
      const retryAfterMs = (historyBytes - 1) * 10;
      const rejected = [{ channel: 'a', code: 'rate_limited', retryAfterMs }];
      expect(client.sent().at(-1)).toMatchObject({ id: 3, channels: [], rejected, done: true });
      expect(upstream.calls).toEqual(['+a', '?a 91', '-a', '+a', '-a']);
      expect(beyond).toEqual(['replay']);

      clock.now = retryAfterMs;
      resume(client, 4, since);
      upstream.acknowledge(['a'], position);
      expect(upstream.answer('a', EPOCH, past)).toBe(91);
      expect(story(client).slice(-11)).toEqual(['answer 4', ...past.map(({ offset }) => offset)]);
    });

    it('lets a client have what is live, and one that has missed nothing', () => {
      const { client, resume, subscribe, upstream } = setUpOwing();
      resume(client, 3, position);
      subscribe(client, 4, ['b']);
      upstream.acknowledge(['a', 'b'], position);
      expect(client.sent().slice(-2)).toMatchObject([
        { id: 3, channels: [{ recovered: true, replayed: 0 }] },
        { id: 4, channels: [{ channel: 'b' }] },
      ]);
    });

    it('lets go of no channel that others hold or wait for', () => {
      const { client, other, resume, subscribe, upstream } = setUpOwing();
      resume(client, 3, since);
      resume(other, 4, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, past);
      expect(story(other).slice(1)).toEqual(past.map(({ offset }) => offset));
      resume(client, 5, since);
      expect(client.sent().at(-1)).toMatchObject({ id: 5, rejected: [{ code: 'rate_limited' }] });
      subscribe(client, 6, ['a']);
      expect(client.sent().at(-1)).toMatchObject({ id: 6, channels: [{ channel: 'a' }] });
      expect([...upstream.wanted]).toEqual(['a']);
    });

    it('gives back what Redis was asked for while it was away', () => {
      const { client, clock, resume, unsubscribe, upstream } = setUpOwing();
      clock.now = 60_000;
      resume(client, 3, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, [], 'unavailable');
      unsubscribe(client, 4, ['a']);
      resume(client, 5, since);
      upstream.acknowledge(['a'], position);
      expect(upstream.answer('a', EPOCH, past)).toBe(91);
    });

    it('only counts it where budgets are not enforced', () => {
      const { client, resume, upstream, beyond } = setUpOwing(false);
      resume(client, 3, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, past);
      expect(story(client).at(-1)).toBe(100);
      expect(beyond).toEqual(['replay']);
    });
  });

  it.each([
    ['of one channel', () => 'd'],
    ['of many channels', (n: number) => `d${n}`],
  ])('serves some in a turn of those that have waited for too long, %s', (_, nameOf) => {
    const { resume, subscriptions, upstream, log } = setUpFull();
    const waiting = Array.from({ length: 100 }, () => createTestConnection({ log }));
    for (const [n, client] of waiting.entries()) {
      resume(client, 1, { epoch: EPOCH, offset: 97 }, nameOf(n));
    }
    for (const name of new Set(waiting.map((_client, n) => nameOf(n)))) {
      upstream.acknowledge([name], position);
    }
    for (let seconds = 1; seconds <= 10; seconds += 1) subscriptions.tick();
    const served = () => waiting.filter((client) => client.sent().length > 0).length;
    expect(served(), 'none by the tick itself').toBe(0);
    expect(subscriptions.serveWaiting(ONE_A_TURN)).toBe(true);
    expect(served()).toBe(1);
    expect(subscriptions.serveWaiting(ONE_A_TURN)).toBe(true);
    expect(served()).toBe(2);
    expect(subscriptions.serveWaiting(Number.POSITIVE_INFINITY)).toBe(false);
    expect(served(), 'control: in a turn that has time for all').toBe(100);
  });

  it('keeps nobody waiting for room for longer than ten seconds', () => {
    const { resume, unsubscribe, subscriptions, upstream, other, log } = setUpFull();
    const held = { epoch: EPOCH, offset: 97 };
    expect(subscriptions.waitsForMemory, 'nobody waits yet').toBe(false);
    resume(other, 1, held, 'd');
    upstream.acknowledge(['d'], position);
    expect(subscriptions.waitsForMemory).toBe(true);
    const passSecond = () => {
      subscriptions.tick();
      while (subscriptions.serveWaiting(ONE_A_TURN));
    };
    for (let seconds = 1; seconds < 10; seconds += 1) passSecond();
    expect(other.sent()).toEqual([]);
    passSecond();
    const outcome = { recovered: false, reason: 'unavailable', replayed: 0 };
    expect(other.sent()).toMatchObject([{ channels: [outcome] }]);
    expect(subscriptions.waitsForMemory).toBe(false);

    const third = createTestConnection({ log });
    resume(third, 1, held, 'd');
    expect(subscriptions.waitsForMemory).toBe(true);
    unsubscribe(third, 2, ['d']);
    expect(subscriptions.waitsForMemory, 'who cancels waits no more').toBe(false);
  });

  it('continues nothing that was missed where replays may hold nothing', () => {
    const { resume, upstream, client, other } = setUp({}, 0);
    resume(client, 1, { epoch: EPOCH, offset: 97 });
    resume(other, 2, { epoch: EPOCH, offset: 100 });
    upstream.acknowledge(['a'], position);
    expect(client.sent()).toMatchObject([
      { channels: [{ recovered: false, reason: 'history_too_long' }] },
    ]);
    expect(other.sent()).toMatchObject([{ channels: [{ recovered: true, replayed: 0 }] }]);
    expect(upstream.calls).toEqual(['+a']);
  });
});

const PLENTY = { perSecond: 1, burst: 1_000_000_000 };

const EPOCH = 'k3x9';
const position = { epoch: EPOCH, offset: 100 };

/** A turn that has no time left. */
const ONE_A_TURN = Number.NEGATIVE_INFINITY;

function setUp(limits: Partial<SubscriptionLimits> = {}, bytes = 1_000_000, enforcesRates = true) {
  const log = new PublicationLog(bytes);
  const recovered: RecoveryOutcome[] = [];
  const beyond: LimitName[] = [];
  const clock = { now: 0 };
  const membership = new Membership();
  const { index } = membership;
  const upstream = new FakeUpstream();
  const subscriptions = new Subscriptions(
    membership,
    {
      maxChannelsPerClient: 100,
      maxHistory: 1_000,
      replayRate: PLENTY,
      ...limits,
    },
    log,
    upstream,
    (outcome) => recovered.push(outcome),
    new LimitGuard(enforcesRates, (limit) => beyond.push(limit)),
    () => clock.now,
  );
  upstream.connect(listenerOf(subscriptions));
  subscriptions.available = true;
  return {
    ...{ membership, index, upstream, subscriptions, log, recovered, beyond, clock },
    client: createTestConnection({ log }),
    other: createTestConnection({ log }),
    resume(client: TestConnection, id: RequestId, since: Position, channel = 'a') {
      const channels = [{ channel, since, history: undefined }];
      subscriptions.subscribe(client.connection, { ...request(id, []), channels }, 0);
    },
    subscribe(client: TestConnection, id: RequestId, names: readonly string[], now = 0) {
      subscriptions.subscribe(client.connection, request(id, names), now);
    },
    unsubscribe(client: TestConnection, id: RequestId, channels: readonly string[]) {
      subscriptions.unsubscribe(client.connection, { type: 'unsubscribe', id, channels });
    },
  };
}

/** The same when a client that reads nothing keeps all the room for replays. */
function setUpFull() {
  const all = setUp({}, 2_000);
  const { subscriptions, upstream, log } = all;
  const client = createTestConnection({ log, limits: { ...LIMITS, slots: 1 } });
  client.sink.stalled = true;
  client.connection.send({ type: 'pong', serverTime: 0 });
  const since = { epoch: EPOCH, offset: 97 };
  const big = publicationsOf('a', 98, 100).map((one) => ({ ...one, body: Buffer.alloc(70) }));
  for (const name of ['a', 'b', 'c']) {
    const channels = [{ channel: name, since, history: undefined }];
    subscriptions.subscribe(client.connection, { ...request(name, []), channels }, 0);
    upstream.acknowledge([name], position);
    if (upstream.questions.has(name)) upstream.answer(name, EPOCH, big);
  }
  return all;
}

function request(id: RequestId, names: readonly string[]): SubscribeRequest {
  const channels = names.map((channel) => ({ channel, since: undefined, history: undefined }));
  return { type: 'subscribe', id, channels, rejected: [] };
}

function frame(
  id: RequestId,
  subscribed: readonly (readonly [channel: string, ref: number])[],
  rejected: readonly (readonly [channel: string, code: ErrorCode])[],
  done: boolean,
) {
  return {
    type: 'subscribed',
    id,
    channels: subscribed.map(([channel, ref]) => ({ channel, ref })),
    ...(rejected.length === 0
      ? {}
      : { rejected: rejected.map(([channel, code]) => ({ channel, code })) }),
    done,
  };
}
