import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import { describe, expect, it } from 'vitest';
import { createFakePublisher } from './fake-publisher.ts';
import { fault } from './faults.ts';
import type { Item } from './item.ts';
import { type ItemResult, publishItems, WINDOW_BYTES, WINDOW_ITEMS } from './publish.ts';

describe('publishItems', () => {
  it('publishes the good ones in order and says what became of each', async () => {
    const publisher = createFakePublisher();
    const results = await publishItems(publisher, [
      item('a'),
      { ok: false, error: fault('bad_channel') },
      item('b'),
    ]);
    expect(publisher.published).toEqual(['c a', 'c b']);
    expect(results.map(describeResult)).toEqual(['2', 'bad_channel', '2']);
  });

  it('keeps the order over many windows', async () => {
    const publisher = createFakePublisher();
    const names = Array.from({ length: WINDOW_ITEMS * 3 + 1 }, (_, index) => `n${index}`);
    const results = await publishItems(publisher, names.map(item));
    expect(publisher.published).toEqual(names.map((name) => `c ${name}`));
    expect(results).toHaveLength(names.length);
  });

  it('has at most a window on its way, in items and in bytes', async () => {
    const publisher = createFakePublisher();
    const release = publisher.hold();
    const many = publishItems(
      publisher,
      Array.from({ length: WINDOW_ITEMS + 5 }, () => item('x')),
    );
    expect(publisher.calls).toBe(WINDOW_ITEMS);
    release();
    await many;

    const large = createFakePublisher();
    const releaseLarge = large.hold();
    const half = 'x'.repeat(WINDOW_BYTES / 2);
    const few = publishItems(large, [item(half), item(half), item(half)]);
    expect(large.calls).toBe(2);
    releaseLarge();
    await few;
    expect(large.calls).toBe(3);
  });

  it('sends a publication that is larger than a window alone', async () => {
    const publisher = createFakePublisher();
    const large = 'x'.repeat(WINDOW_BYTES + 1);
    const results = await publishItems(publisher, [item('a'), item(large), item('b')]);
    expect(results.map(describeResult)).toEqual(['2', '2', '2']);
  });

  it('sends nothing more once Redis was away', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(3, new RedisUnavailableError('unknown', 'cut'));
    const items = Array.from({ length: WINDOW_ITEMS * 2 }, (_, index) => item(`n${index}`));
    const results = await publishItems(publisher, [
      ...items,
      { ok: false, error: fault('bad_json') },
    ]);
    expect(publisher.calls).toBe(WINDOW_ITEMS);
    const described = results.map(describeResult);
    expect(described.slice(0, 4)).toEqual(['2', '2', 'unavailable?', 'unavailable?']);
    expect(described[WINDOW_ITEMS]).toBe('unavailable');
    expect(described.at(-1)).toBe('bad_json');
  });

  it('goes on after a channel that Redis’ rules forbid', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(1, new RedisRefusedError('NOPERM no permissions to access a channel'));
    const items = Array.from({ length: WINDOW_ITEMS + 1 }, () => item('x'));
    const results = await publishItems(publisher, items);
    expect(publisher.calls).toBe(WINDOW_ITEMS + 1);
    expect(new Set(results.map(describeResult))).toEqual(new Set(['channel_not_allowed']));
  });

  it('takes any other refusal for a Redis that is not there, and keeps the reply for the log', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(1, new RedisRefusedError('LOADING Redis is loading the dataset'));
    const [result] = await publishItems(publisher, [item('x')]);
    expect(result && describeResult(result)).toBe('unavailable');
    expect(result).toMatchObject({ cause: 'LOADING Redis is loading the dataset' });
  });

  it('does not hide a fault of its own', async () => {
    const publisher = createFakePublisher();
    publisher.failFrom(1, new TypeError('a bug'));
    await expect(publishItems(publisher, [item('x')])).rejects.toThrow('a bug');
  });
});

function item(payload: string): Item {
  return { ok: true, publication: { channel: 'c', payload, bytes: payload.length } };
}

function describeResult(result: ItemResult): string {
  if (result.ok) return String(result.receivers);
  return result.error.code + (result.outcomeUnknown ? '?' : '');
}
