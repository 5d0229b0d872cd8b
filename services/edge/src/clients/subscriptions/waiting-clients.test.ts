import { describe, expect, it } from 'vitest';
import { rightsTo } from '../../auth/rights.ts';
import { OwnerTable } from '../../owners/owner-table.ts';
import { publicationsOf } from '../testing/fake-upstream.ts';
import {
  EPOCH,
  ONE_A_TURN,
  position,
  request,
  setUp,
  setUpFull,
} from '../testing/subscriptions-under-test.ts';
import { createTestConnection, type TestConnection } from '../testing/test-connection.ts';

describe('WaitingClients', () => {
  /** What a client was sent, in short: answers by their ids, publications by their offsets. */
  function story({ sink }: TestConnection): unknown[] {
    return sink.frames
      .map(({ payload }) => JSON.parse(payload.toString()) as Record<string, unknown>)
      .map(({ id, offset }) => (offset === undefined ? `answer ${id}` : offset));
  }

  it('sends the answer first, the promised replay right behind it, and each client its own part', () => {
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

  it('sends nothing to a client that cancels before the answer comes', () => {
    const { resume, unsubscribe, upstream, client, other } = setUp();
    resume(client, 1, { epoch: EPOCH, offset: 97 });
    resume(other, 2, { epoch: EPOCH, offset: 98 });
    upstream.acknowledge(['a'], position);
    unsubscribe(client, 3, ['a']);
    upstream.answer('a', EPOCH, publicationsOf('a', 98, 100));
    expect(story(client)).toEqual(['answer 1', 'answer 3']);
    expect(story(other)).toEqual(['answer 2', 99, 100]);
  });

  it('reads a few channels at a time, and continues with the others as answers come', async () => {
    const { subscriptions, upstream, client } = setUp();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const since = { epoch: EPOCH, offset: 99 };
    const channels = names.map((channel) => ({ channel, since, history: undefined }));
    subscriptions.subscribe(client.connection, { ...request(1, []), channels }, 0);
    upstream.acknowledge(names, position);
    expect([...upstream.pendingReads.keys()]).toEqual(['a', 'b', 'c', 'd']);
    upstream.answer('a', EPOCH, publicationsOf('a', 100, 100));
    subscriptions.removeClient(client.connection);
    expect(upstream.pendingReads.size).toBe(0);
    await undefined;
    expect(upstream.wanted.size).toBe(0);

    const other = createTestConnection();
    subscriptions.subscribe(other.connection, { ...request(1, []), channels }, 0);
    upstream.acknowledge(names, position);
    for (let left = names.length; left > 0; left -= 1) {
      const [next] = [...upstream.pendingReads.keys()] as [string];
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

    it('finishes a replay that was begun, then says when to ask again, and reads nothing', () => {
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

    it('admits a client that wants only live publications, or has missed nothing', () => {
      const { client, resume, subscribe, upstream } = setUpOwing();
      resume(client, 3, position);
      subscribe(client, 4, ['b']);
      upstream.acknowledge(['a', 'b'], position);
      expect(client.sent().slice(-2)).toMatchObject([
        { id: 3, channels: [{ recovered: true, replayed: 0 }] },
        { id: 4, channels: [{ channel: 'b' }] },
      ]);
    });

    it('drops no channel that others hold or wait for', () => {
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

    it('refunds a read that Redis did not answer', () => {
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

    it('is one budget for all clients of a subject, or of an address where there is no subject', () => {
      const limits = { connections: 10, plain: 0 };
      const rates = { replay: { perSecond: 100, burst: 1 } };
      const table = new OwnerTable({ ...limits, rates });
      const { beyond, log, resume, unsubscribe, upstream } = setUp();
      const [first, second, stranger] = [1, 2, 3].map(() =>
        createTestConnection({ log, addressOwner: table.find('203.0.113.7') }),
      ) as [TestConnection, TestConnection, TestConnection];
      stranger.connection.session.subjectOwner = table.find('u1');
      resume(first, 1, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, past);
      unsubscribe(first, 2, ['a']);
      resume(second, 3, since);
      upstream.acknowledge(['a'], position);
      const rejected = [{ channel: 'a', code: 'rate_limited' }];
      expect(second.sent().at(-1)).toMatchObject({ id: 3, channels: [], rejected, done: true });
      expect(beyond).toEqual(['subject_replay']);
      resume(stranger, 4, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, past);
      expect(story(stranger).slice(1)).toEqual(past.map(({ offset }) => offset));
    });

    it('is less where the token says so', () => {
      const { clock, log, resume, unsubscribe, upstream } = setUp({
        replayRate: { perSecond: 1_000_000, burst: 1_000_000 },
      });
      const narrow = { ...rightsTo(() => true), replayBytesPerSecond: 100 };
      const client = createTestConnection({ log, rights: narrow });
      resume(client, 1, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, past);
      unsubscribe(client, 2, ['a']);
      resume(client, 3, since);
      upstream.acknowledge(['a'], position);
      const retryAfterMs = (historyBytes - 100) * 10;
      const rejected = [{ channel: 'a', code: 'rate_limited', retryAfterMs }];
      expect(client.sent().at(-1)).toMatchObject({ id: 3, channels: [], rejected });
      clock.now = retryAfterMs;
      resume(client, 4, since);
      upstream.acknowledge(['a'], position);
      upstream.answer('a', EPOCH, past);
      expect(story(client).at(-1)).toBe(100);
    });

    it('only counts the excess where budgets are not enforced', () => {
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

  it('keeps no client waiting for memory longer than ten seconds', () => {
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

  it('continues no channel where replays may hold no memory', () => {
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
