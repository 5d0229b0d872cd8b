import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFakePublisher, type FakePublisher } from './fake-publisher.ts';
import { fault } from './faults.ts';
import type { Item } from './item.ts';
import { DOUBT, type ItemResult, type Publisher } from './publish.ts';
import { RETRY_PAUSE_MS, WINDOW_BYTES, WINDOW_ITEMS } from './publish-lane.ts';
import { OWN_KEY_MARGIN_MS, PublishQueue, type PublishQueueSettings } from './publish-queue.ts';

const MAX_AGE_MS = 1_000;
const LOST = new RedisUnavailableError('unknown', 'no answer within 1500 ms');
const DOWN = new RedisUnavailableError('not-sent', 'Redis is not reachable');

let publisher: FakePublisher;
let events: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  publisher = createFakePublisher();
  events = [];
});
afterEach(() => {
  vi.useRealTimers();
});

describe('PublishQueue', () => {
  it('publishes the good ones in order and says what became of each', async () => {
    const results = await start().submit([
      item('a'),
      { ok: false, error: fault('bad_channel') },
      item('b'),
    ]);
    expect(publisher.published).toEqual(['c a', 'c b']);
    expect(results.map(describeResult)).toEqual(['1', 'bad_channel', '2']);
  });

  it('has at most a window on its way, in items and in bytes, and keeps the order beyond it', async () => {
    const queue = start();
    const release = publisher.hold();
    const names = Array.from({ length: WINDOW_ITEMS * 3 + 1 }, (_, index) => `n${index}`);
    const many = queue.submit(names.map((name) => item(name)));
    expect(publisher.calls).toBe(WINDOW_ITEMS);
    expect(queue.state.publications).toBe(names.length);
    release();
    await many;
    expect(publisher.published).toEqual(names.map((name) => `c ${name}`));
    expect(queue.state).toEqual({ publications: 0, bytes: 0, oldestMs: 0 });

    const releaseLarge = publisher.hold();
    const before = publisher.calls;
    const third = 'x'.repeat(WINDOW_BYTES / 2);
    const large = queue.submit([item(third), item(third), item('y'.repeat(WINDOW_BYTES + 1))]);
    expect(publisher.calls - before).toBe(2);
    releaseLarge();
    expect((await large).every((result) => result.ok)).toBe(true);
  });

  it('holds what comes while Redis is away, and publishes it in order when it is back', async () => {
    const queue = start();
    publisher.goDown();
    const first = queue.submit([item('a'), item('b')]);
    await vi.advanceTimersByTimeAsync(MAX_AGE_MS / 2);
    const second = queue.submit([item('c')]);
    expect(publisher.calls).toBe(0);
    expect(queue.state).toEqual({ publications: 3, bytes: 3, oldestMs: MAX_AGE_MS / 2 });
    publisher.recover();
    queue.resume();
    await Promise.all([first, second]);
    expect(publisher.published).toEqual(['c a', 'c b', 'c c']);
    expect(events).toEqual([]);
  });

  it('never publishes what became too old while it waited, and says so in time', async () => {
    const queue = start();
    publisher.goDown();
    const old = queue.submit([item('old')]);
    await vi.advanceTimersByTimeAsync(MAX_AGE_MS - 1);
    const fresh = queue.submit([item('fresh')]);
    await vi.advanceTimersByTimeAsync(1);
    expect((await old).map(describeResult)).toEqual(['unavailable']);
    publisher.recover();
    queue.resume();
    await fresh;
    expect(publisher.published).toEqual(['c fresh']);
    expect(events).toEqual(['expired in queue']);
  });

  it('tells Redis the latest time, too, and hands on what Redis found too late', async () => {
    const queue = start();
    const now = Date.now();
    await queue.submit([item('a')]);
    expect(publisher.asked[0]?.terms.notAfterMs).toBe(now + MAX_AGE_MS);
    publisher.failFrom(1, new RedisRefusedError('TWLATE it is 12 ms later than allowed'));
    const [late] = await queue.submit([item('b')]);
    expect(late && describeResult(late)).toBe('too_late');
    expect(events).toEqual(['expired in redis']);
    expect(publisher.calls).toBe(2);
  });

  it('has no age limit when it is set so', async () => {
    const queue = start({ maxAgeMs: 0 });
    publisher.goDown();
    const old = queue.submit([item('old')]);
    await vi.advanceTimersByTimeAsync(3_600_000);
    publisher.recover();
    queue.resume();
    await old;
    expect(publisher.published).toEqual(['c old']);
    expect(publisher.asked[0]?.terms.notAfterMs).toBeUndefined();
  });

  it('takes all of a request or nothing when the queue is full, in items and in bytes', async () => {
    const queue = start({ maxItems: 3, maxBytes: 10 });
    publisher.goDown();
    const held = [queue.submit([item('a'), item('b')])];
    const refused = await queue.submit([item('c'), item('d')]);
    expect(refused.map(describeResult)).toEqual(['unavailable', 'unavailable']);
    expect((await queue.submit([item('x'.repeat(9))])).map(describeResult)).toEqual([
      'unavailable',
    ]);
    held.push(queue.submit([item('e')]));
    expect(events).toEqual(['2 too many', '1 too many']);
    publisher.recover();
    queue.resume();
    await Promise.all(held);
    expect(publisher.published).toEqual(['c a', 'c b', 'c e']);
  });

  describe('when the link is lost', () => {
    it('sends again what may have been executed, and it is published once, in order', async () => {
      const queue = start();
      publisher.failFrom(2, LOST, { executed: true });
      const results = queue.submit([item('a'), item('b'), item('c', 'd', 'key')]);
      await vi.advanceTimersByTimeAsync(0);
      expect(publisher.calls).toBe(3);
      publisher.recover();
      queue.resume();
      // The first repeated one goes alone.
      expect(publisher.calls).toBe(4);
      const [, b, d] = await results;
      expect(publisher.published).toEqual(['c a', 'c b', 'd c']);
      expect(b).toMatchObject({ ok: true, offset: 2, duplicate: false });
      expect(d).toMatchObject({ ok: true, offset: 1, duplicate: true });
      expect(events).toEqual(['retried', 'retried']);
    });

    it('goes on by itself when Redis does not say that it is back', async () => {
      const queue = start();
      publisher.failFrom(1, DOWN);
      const result = queue.submit([item('a')]);
      await vi.advanceTimersByTimeAsync(RETRY_PAUSE_MS * 2 + 1);
      expect(publisher.calls).toBe(3);
      publisher.recover();
      await vi.advanceTimersByTimeAsync(RETRY_PAUSE_MS);
      expect((await result).map(describeResult)).toEqual(['1']);
    });

    it('gives up at the deadline, and says what is not known and what is safe', async () => {
      const queue = start();
      publisher.failFrom(1, LOST, { executed: true });
      const own = queue.submit([item('a')]);
      const theirs = queue.submit([item('b', 'c', 'key')]);
      await vi.advanceTimersByTimeAsync(0);
      publisher.goDown();
      await vi.advanceTimersByTimeAsync(MAX_AGE_MS);
      for (const [submitted, isSafe] of [
        [own, false],
        [theirs, true],
      ] as const) {
        const [result] = await submitted;
        expect(result).toMatchObject({ error: { code: 'unavailable' }, outcomeUnknown: true });
        const message = result?.ok === false ? result.error.message : '';
        expect(message.includes('with the same idempotency key')).toBe(isSafe);
      }
      expect(events).toEqual(['expired in queue', 'expired in queue']);
    });

    it('has no doubt about what it never sent, behind what is in doubt', async () => {
      const queue = start();
      publisher.failFrom(1, LOST, { executed: true });
      const many = queue.submit(Array.from({ length: WINDOW_ITEMS + 1 }, () => item('a')));
      await vi.advanceTimersByTimeAsync(0);
      publisher.goDown();
      await vi.advanceTimersByTimeAsync(MAX_AGE_MS);
      const results = await many;
      const [first, neverSent] = [results[0], results.at(-1)];
      expect(first).toMatchObject({ outcomeUnknown: true, error: { message: DOUBT } });
      expect(neverSent).toMatchObject({
        outcomeUnknown: false,
        error: { code: 'unavailable', message: expect.stringContaining('This was not published') },
      });
    });

    it('does not leave a doubt about what was never executed', async () => {
      const queue = start();
      publisher.failFrom(1, LOST);
      const result = queue.submit([item('a')]);
      await vi.advanceTimersByTimeAsync(0);
      publisher.failFrom(1, new RedisRefusedError('TWLATE it is 1 ms later than allowed'));
      await vi.advanceTimersByTimeAsync(RETRY_PAUSE_MS);
      expect(await result).toMatchObject([{ error: { code: 'too_late' }, outcomeUnknown: false }]);
    });

    it('does not send what is in doubt once Redis may have forgotten its key', async () => {
      const queue = start({ maxAgeMs: 0, idempotencyWindowMs: 60_000 });
      publisher.failFrom(1, LOST, { executed: true });
      const result = queue.submit([item('a')]);
      await vi.advanceTimersByTimeAsync(0);
      publisher.goDown();
      await vi.advanceTimersByTimeAsync(60_000);
      publisher.recover();
      queue.resume();
      expect((await result).map(describeResult)).toEqual(['unavailable?']);
      expect(publisher.calls).toBe(1);
    });

    it('does not send it at all without keys', async () => {
      const queue = start({ idempotencyWindowMs: 0 });
      publisher.failFrom(1, LOST, { executed: true });
      const result = await queue.submit([item('a')]);
      expect(result.map(describeResult)).toEqual(['unavailable?']);
      expect(publisher.calls).toBe(1);
    });

    it('does not repeat what a later one of its channel was accepted before', async () => {
      const answers: Array<{ resolve: () => void; reject: (error: Error) => void }> = [];
      const byHand: Publisher = {
        available: true,
        publish: () =>
          new Promise((resolve, reject) => {
            answers.push({
              resolve: () => resolve({ epoch: 'e', offset: 1, duplicate: false }),
              reject,
            });
          }),
      };
      const queue = start({}, byHand);
      const results = queue.submit([item('1', 'a'), item('2', 'b'), item('3', 'a')]);
      answers[0]?.reject(DOWN);
      answers[1]?.reject(DOWN);
      answers[2]?.resolve();
      await vi.advanceTimersByTimeAsync(RETRY_PAUSE_MS);
      // `b` was overtaken by nobody, but belongs to a request of which one has failed.
      expect((await results).map(describeResult)).toEqual(['unavailable', 'unavailable', '1']);
      expect(answers).toHaveLength(3);
    });
  });

  it('waits for a failover, asking with one publication at a time', async () => {
    const queue = start({ maxAgeMs: 10_000 });
    publisher.failFrom(1, new RedisRefusedError('READONLY You can not write against a replica'));
    const results = queue.submit(Array.from({ length: 50 }, (_, index) => item(`n${index}`)));
    await vi.advanceTimersByTimeAsync(0);
    expect(publisher.calls).toBe(50);
    // After 100, 200 and 400 ms, whatever comes in meanwhile.
    for (let step = 0; step < 7; step += 1) {
      await vi.advanceTimersByTimeAsync(RETRY_PAUSE_MS);
      void queue.submit([item('later', 'other')]);
    }
    expect(publisher.calls).toBe(53);
    publisher.recover();
    await vi.advanceTimersByTimeAsync(RETRY_PAUSE_MS * 8);
    expect((await results).every((result) => result.ok)).toBe(true);
    expect(publisher.published.slice(0, 50)).toEqual(
      Array.from({ length: 50 }, (_, index) => `c n${index}`),
    );
  });

  it('tells at once that Redis is full, and sends nothing more of that request', async () => {
    const queue = start();
    publisher.failFrom(1, new RedisRefusedError('OOM command not allowed'));
    const many = Array.from({ length: WINDOW_ITEMS + 5 }, () => item('x'));
    const results = await queue.submit(many);
    expect(new Set(results.map(describeResult))).toEqual(new Set(['storage_full']));
    expect(publisher.calls).toBe(WINDOW_ITEMS);
  });

  it('goes on after a channel that Redis’ rules forbid', async () => {
    const queue = start();
    publisher.failFrom(1, new RedisRefusedError('NOPERM no permissions to access a channel'));
    const results = await queue.submit(Array.from({ length: WINDOW_ITEMS + 1 }, () => item('x')));
    expect(publisher.calls).toBe(WINDOW_ITEMS + 1);
    expect(new Set(results.map(describeResult))).toEqual(new Set(['channel_not_allowed']));
  });

  it('does not hide a fault of its own, and goes on', async () => {
    const queue = start();
    publisher.failFrom(1, new TypeError('a bug'));
    await expect(queue.submit([item('x')])).rejects.toThrow('a bug');
    publisher.recover();
    expect((await queue.submit([item('y')])).map(describeResult)).toEqual(['1']);
    expect(queue.state.publications).toBe(0);
  });

  it('gives each publication a key of its own, which Redis forgets soon', async () => {
    const queue = start({ idempotencyWindowMs: 600_000 });
    await queue.submit([item('a'), item('a'), item('a', 'c', 'theirs')]);
    const keys = publisher.asked.map(({ key }) => key);
    expect(new Set(keys).size).toBe(3);
    expect(keys[2]).toBe('theirs');
    const short = MAX_AGE_MS + OWN_KEY_MARGIN_MS;
    expect(publisher.asked.map(({ terms }) => terms.idempotencyWindowMs)).toEqual([
      short,
      short,
      600_000,
    ]);
  });

  it('copies payloads: who submitted them may reuse the memory', async () => {
    const queue = start();
    publisher.goDown();
    const payload = Buffer.from('before');
    const result = queue.submit([
      { ok: true, publication: { channel: 'c', payload, bytes: payload.length } },
    ]);
    payload.fill('x');
    publisher.recover();
    queue.resume();
    await result;
    expect(publisher.published).toEqual(['c before']);
  });

  describe('with lanes', () => {
    /** The first letter of a channel is its lane and its shard; those of `down` cannot be reached, and `refuses` are refused. */
    function startLanes(settings: Partial<PublishQueueSettings> = {}) {
      const down = new Set<string>();
      const refuses = new Map<string, Error>();
      /** By lane: the master that took the shard over. */
      const successors = new Map<string, string>();
      const letterOf = (channel: string): string => channel.slice(0, 1);
      const queue = start(settings, {
        available: true,
        lanes: {
          laneOf: (channel) => channel.charCodeAt(0),
          isReachable: (lane) => !down.has(String.fromCharCode(lane)),
          shardOf: (lane) => {
            const letter = String.fromCharCode(lane);
            return successors.get(letter) ?? letter;
          },
        },
        async publish(publication, terms) {
          const error = refuses.get(letterOf(publication.channel));
          if (error !== undefined) throw error;
          return await publisher.publish(publication, terms);
        },
      });
      return { queue, down, refuses, successors };
    }

    for (const refusal of [
      DOWN,
      new RedisRefusedError('TRYAGAIN Multiple keys request during rehashing of slot'),
    ])
      it(`goes on with the others while one is refused: ${refusal.message.slice(0, 8)}`, async () => {
        const { queue, refuses } = startLanes();
        refuses.set('b', refusal);
        const held = queue.submit([item('1', 'b1'), item('2', 'b2')]);
        await vi.advanceTimersByTimeAsync(0);
        const others = queue.submit([item('3', 'a'), item('4', 'c')]);
        const behind = queue.submit([item('5', 'b1')]);
        await vi.advanceTimersByTimeAsync(0);
        expect(publisher.published).toEqual(['a 3', 'c 4']);
        expect((await others).map(describeResult)).toEqual(['1', '1']);
        refuses.clear();
        await vi.advanceTimersByTimeAsync(RETRY_PAUSE_MS);
        await Promise.all([held, behind]);
        expect(publisher.published.slice(2)).toEqual(['b1 1', 'b2 2', 'b1 5']);
      });

    it('answers for one that cannot be reached, and keeps no timer for any that is empty', async () => {
      const { queue, down } = startLanes();
      down.add('b');
      const results = queue.submit([item('1', 'b'), item('2', 'a')]);
      await vi.advanceTimersByTimeAsync(0);
      expect(publisher.published).toEqual(['a 2']);
      expect(queue.state.publications).toBe(1);
      await vi.advanceTimersByTimeAsync(MAX_AGE_MS);
      expect((await results).map(describeResult)).toEqual(['unavailable', '1']);
      expect(vi.getTimerCount()).toBe(0);

      const held = queue.submit([item('3', 'b')]);
      down.clear();
      queue.resume();
      expect((await held).map(describeResult)).toEqual(['1']);
      expect(queue.state).toEqual({ publications: 0, bytes: 0, oldestMs: 0 });
    });

    it('counts what waits in the share of the master that took the shard over', async () => {
      const { queue, down, successors } = startLanes({ maxItems: 4 });
      down.add('b');
      const held = [queue.submit([item('1', 'b')]), queue.submit([item('2', 'b')])];
      successors.set('b', 'promoted');
      queue.resume();
      const more = await queue.submit([item('3', 'b')]);
      expect(more.map(describeResult)).toEqual(['unavailable']);
      const others = await queue.submit([item('4', 'a'), item('5', 'c')]);
      expect(others.every(({ ok }) => ok)).toBe(true);
      down.clear();
      queue.resume();
      await Promise.all(held);
      const after = await queue.submit([item('6', 'b'), item('7', 'b')]);
      expect(after.every(({ ok }) => ok)).toBe(true);
    });

    it('leaves room to the others when one is away, in items and in bytes', async () => {
      for (const limits of [{ maxItems: 4 }, { maxBytes: 4 }]) {
        const { queue, down } = startLanes(limits);
        down.add('b');
        const held = [queue.submit([item('1', 'b')]), queue.submit([item('2', 'b')])];
        for (const full of [[item('3', 'b')], [item('3', 'b'), item('3', 'a')]]) {
          const results = await queue.submit(full);
          expect(results.map(describeResult)).toEqual(full.map(() => 'unavailable'));
        }
        const others = await queue.submit([item('4', 'a'), item('5', 'c')]);
        expect(others.every(({ ok }) => ok)).toBe(true);
        down.clear();
        queue.resume();
        await Promise.all(held);
        // It has nothing any more, so it may have more than its share at once.
        const many = await queue.submit(['6', '7', '8', '9'].map((name) => item(name, 'b')));
        expect(many.every(({ ok }) => ok)).toBe(true);
        expect(queue.state).toMatchObject({ publications: 0, bytes: 0 });
      }
    });

    it('has one limit for all', async () => {
      const { queue, down } = startLanes({ maxItems: 2 });
      down.add('a').add('b');
      const held = queue.submit([item('1', 'a'), item('2', 'b')]);
      expect((await queue.submit([item('3', 'c')])).map(describeResult)).toEqual(['unavailable']);
      queue.stop();
      expect((await held).map(describeResult)).toEqual(['unavailable', 'unavailable']);
    });
  });

  it('fails all that waits when it is stopped, and leaves no timer behind', async () => {
    const queue = start();
    publisher.failFrom(1, LOST);
    const inDoubt = queue.submit([item('a')]);
    await vi.advanceTimersByTimeAsync(0);
    publisher.goDown();
    const waiting = queue.submit([item('b')]);
    queue.stop();
    expect((await inDoubt).map(describeResult)).toEqual(['unavailable?']);
    expect((await waiting).map(describeResult)).toEqual(['unavailable']);
    expect((await queue.submit([item('c')])).map(describeResult)).toEqual(['unavailable']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

function start(
  settings: Partial<PublishQueueSettings> = {},
  target: Publisher = publisher,
): PublishQueue {
  return new PublishQueue(
    target,
    {
      maxItems: 10_000,
      maxBytes: 16 * 1024 * 1024,
      maxAgeMs: MAX_AGE_MS,
      idempotencyWindowMs: 600_000,
      ...settings,
    },
    {
      expired: (where) => void events.push(`expired in ${where}`),
      retried: () => void events.push('retried'),
      delayed: () => {},
      queueFull: (publications) => void events.push(`${publications} too many`),
    },
  );
}

function item(payload: string, channel = 'c', idempotencyKey?: string): Item {
  return { ok: true, publication: { channel, payload, bytes: payload.length, idempotencyKey } };
}

function describeResult(result: ItemResult): string {
  if (result.ok) return String(result.offset);
  return result.error.code + (result.outcomeUnknown ? '?' : '');
}
