import { describe, expect, it } from 'vitest';
import { rightsTo } from '../../auth/rights.ts';
import { OwnerTable } from '../../owners/owner-table.ts';
import { frame, request, setUp } from '../testing/subscriptions-under-test.ts';
import { createTestConnection } from '../testing/test-connection.ts';

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

  it('asks upstream once for all clients that wait for the same channel', () => {
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

  it('packs channels that upstream acknowledges together into one frame', () => {
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
    subscriptions.cutOff = 'all';
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

  it('says that a history that has not begun is complete', () => {
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

  it('checks each client’s own rights', () => {
    const { subscribe, upstream, other } = setUp();
    const client = createTestConnection({ rights: rightsTo((name) => name.startsWith('own/')) });
    subscribe(client, 1, ['own/a', 'b']);
    subscribe(other, 2, ['b']);
    expect(client.sent()).toEqual([frame(1, [], [['b', 'channel_not_allowed']], false)]);
    expect([...upstream.wanted]).toEqual(['own/a', 'b']);
  });

  it('counts a request for channels that can never be had as no request', () => {
    const { subscriptions, subscribe, other } = setUp();
    const client = createTestConnection({ rights: rightsTo(() => false) });
    subscribe(client, 1, ['x']);
    expect(client.connection.session.hasAsked).toBe(false);
    subscriptions.cutOff = 'all';
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

  it('rejects new channels as unavailable while the source is away, and declares none', () => {
    const { subscribe, subscriptions, upstream, client, other } = setUp();
    subscribe(other, 1, ['a']);
    upstream.acknowledge(['a']);
    subscriptions.cutOff = 'all';
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

  it('charges for a channel that is held and for an invalid name, and answers for both', () => {
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

  describe('new channels of one address', () => {
    const owners = () =>
      new OwnerTable({
        connections: 10,
        plain: 0,
        rates: { channels: { perSecond: 1, burst: 2 } },
      });

    it('have one limit for all of its clients, and none of those that others hold', () => {
      const table = owners();
      const addressOwner = table.find('203.0.113.7');
      const [client, other] = [
        createTestConnection({ addressOwner }),
        createTestConnection({ addressOwner }),
      ];
      const stranger = createTestConnection({ addressOwner: table.find('203.0.113.8') });
      const { subscribe, upstream, beyond } = setUp();
      subscribe(client, 1, ['a', 'b'], 0);
      upstream.acknowledge();
      subscribe(other, 2, ['a', 'c'], 0);
      const rejected = [{ channel: 'c', code: 'rate_limited', retryAfterMs: 1_000 }];
      expect(other.sent()).toMatchObject([{ id: 2, channels: [{ channel: 'a' }], rejected }]);
      expect(beyond).toEqual(['address_channels']);
      subscribe(stranger, 3, ['d'], 0);
      subscribe(other, 4, ['c'], 1_000);
      expect([...upstream.wanted]).toEqual(['a', 'b', 'd', 'c']);
    });

    it('are only counted where rates are not enforced', () => {
      const addressOwner = owners().find('203.0.113.7');
      const client = createTestConnection({ addressOwner });
      const { subscribe, upstream, beyond } = setUp({}, 1_000, false);
      subscribe(client, 1, ['a', 'b', 'c'], 0);
      expect([...upstream.wanted]).toEqual(['a', 'b', 'c']);
      expect(beyond).toEqual(['address_channels']);
    });

    it('belong to the subject where addresses are not known', () => {
      const client = createTestConnection();
      client.connection.session.subjectOwner = owners().find('u1');
      const { subscribe, upstream } = setUp();
      subscribe(client, 1, ['a', 'b', 'c'], 0);
      expect([...upstream.wanted]).toEqual(['a', 'b']);
    });
  });

  it('only counts channels beyond the rate where rates are not enforced', () => {
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

  it('forgets a connection that leaves, with the channels that it holds and waits for', () => {
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

  it('rejects clients that wait for a refused channel, and tells those that hold one', () => {
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

  it('declares a refused channel again when a client asks again', () => {
    const { subscribe, upstream, client } = setUp();
    subscribe(client, 1, ['a']);
    upstream.refuse(['a'], 'node_channels_full');
    subscribe(client, 2, ['a']);
    upstream.acknowledge(['a']);
    expect(client.sent().at(-1)).toEqual(frame(2, [['a', 1]], [], true));
    expect(upstream.calls).toEqual(['+a', '+a']);
  });
});
