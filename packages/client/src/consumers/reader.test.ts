import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlowConsumerError } from '../errors.ts';
import { settle } from '../testing/fake-runtime.ts';
import type { Gap, Item, IterateOptions, Publication, Resync } from '../types.ts';
import type { ConsumerOwner } from './consumer.ts';
import { Reader } from './reader.ts';

const OWNER: ConsumerOwner = {
  leave: () => {},
  continueAgain: () => {},
  guard: (call) => call(),
  later: () => {},
};

function publication(offset: number | undefined, data: unknown = offset): Publication<unknown> {
  return {
    ...{ kind: 'publication', channel: 'c', data, ts: 0, replayed: false },
    ...(offset !== undefined && { offset, epoch: 'e1' }),
  };
}

function gap(from: number, to: number): Gap {
  return { kind: 'gap', channel: 'c', epoch: 'e1', from, to, lost: to - from + 1, reason: 'slow' };
}

function reader(options: IterateOptions = {}, tellsAll = true): Reader {
  const made = new Reader(OWNER, 'c', options, tellsAll);
  made.start('e1', 0);
  return made;
}

function short(item: Item<unknown> | undefined): unknown {
  if (item?.kind === 'publication') return item.offset ?? item.data;
  if (item?.kind === 'gap') return `${item.reason} ${item.from}-${item.to} (${item.lost})`;
  return item?.kind;
}

/** What waits, read to its end. */
async function drain(from: Reader): Promise<unknown[]> {
  const items: unknown[] = [];
  while (from.waiting > 0) items.push(short((await from.next()).value));
  return items;
}

describe('Reader', () => {
  it('drops the oldest, and tells exactly which', async () => {
    const slow = reader({ buffer: 3 });
    for (let offset = 1; offset <= 10; offset += 1) slow.publication(publication(offset), 10);
    expect(slow.waiting).toBe(3);
    expect(await drain(slow)).toEqual(['overflow 1-7 (7)', 8, 9, 10]);
  });

  it('counts what has no offsets', async () => {
    const slow = reader({ buffer: 2 });
    for (const data of ['a', 'b', 'c', 'd']) slow.publication(publication(undefined, data), 10);
    expect(await drain(slow)).toEqual(['overflow undefined-undefined (2)', 'c', 'd']);
  });

  it('is bounded in bytes, and always has room for one', async () => {
    const slow = reader({ bufferBytes: 100 });
    slow.publication(publication(1), 20);
    slow.publication(publication(2), 20);
    expect(slow.waiting).toBe(2);
    slow.publication(publication(3), 1_000);
    expect(await drain(slow)).toEqual(['overflow 1-2 (2)', 3]);
  });

  it('drops a gap of the server together with what lies beside it', async () => {
    const slow = reader({ buffer: 2 });
    slow.publication(publication(1), 10);
    slow.gap(gap(2, 5));
    for (const offset of [6, 7]) slow.publication(publication(offset), 10);
    expect(await drain(slow)).toEqual(['overflow 1-5 (5)', 6, 7]);
  });

  it('puts what was missed on the next publication', async () => {
    const slow = reader({ buffer: 2 }, false);
    for (const offset of [1, 2, 3]) slow.publication(publication(offset), 10);
    const { value } = await slow.next();
    expect(value).toMatchObject({ offset: 2, missed: { count: 1, gaps: [{ from: 1, to: 1 }] } });
    expect((await slow.next()).value).not.toHaveProperty('missed');
  });

  it('keeps the newest of each key, in order, and tells what that cost', async () => {
    const slow = reader({ overflow: 'latest', key: ({ data }) => String(data) });
    for (const [index, key] of ['a', 'b', 'a', 'c', 'b'].entries()) {
      slow.publication(publication(index + 1, key), 10);
    }
    expect(await drain(slow)).toEqual(['overflow 1-2 (2)', 3, 4, 5]);
  });

  it('ends with an error behind what waits', async () => {
    const slow = reader({ buffer: 2, overflow: 'error' });
    for (const offset of [1, 2, 3, 4]) slow.publication(publication(offset), 10);
    expect(await drain(slow)).toEqual([1, 2]);
    await expect(slow.next()).rejects.toMatchObject({ from: 3, to: 3, buffered: 2 });
    expect(await slow.next()).toEqual({ value: undefined, done: true });
    expect(slow.waiting).toBe(0);
    expect(new SlowConsumerError('c', 1, 1, 1).retryable).toBe(false);
  });

  it('tells a new epoch that was dropped, and both holes around it', async () => {
    const slow = reader({ buffer: 1 });
    const resync: Resync = {
      kind: 'resync',
      channel: 'c',
      epoch: 'e2',
      offset: 0,
      reason: 'history_lost',
    };
    slow.publication(publication(1), 10);
    slow.resync(resync);
    for (const offset of [1, 2]) slow.publication({ ...publication(offset), epoch: 'e2' }, 10);
    expect(await drain(slow)).toEqual(['overflow 1-1 (1)', 'resync', 'overflow 1-1 (1)', 2]);
  });

  it('hands over to those that wait, in their order', async () => {
    const fast = reader();
    const waiting = [fast.next(), fast.next()];
    for (const offset of [1, 2]) fast.publication(publication(offset), 10);
    expect((await Promise.all(waiting)).map(({ value }) => short(value))).toEqual([1, 2]);
    const rest = fast.next();
    await fast.return();
    expect(await rest).toEqual({ value: undefined, done: true });
  });

  it('refuses what comes behind a full buffer when it pauses', async () => {
    const slow = reader({ buffer: 2, overflow: 'pause' });
    const taken = [1, 2, 3].map((offset) => slow.publication(publication(offset), 10));
    expect(taken).toEqual([true, true, false]);
    expect(slow.isPaused).toBe(true);
    expect(slow.offset).toBe(2);
    await slow.next();
    expect(slow.wantsBack).toBe(true);
  });

  it('sees every offset once or in one gap, in order, whatever is dropped', async () => {
    const actions = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constant('publish') },
        { weight: 2, arbitrary: fc.constant('gap') },
        { weight: 1, arbitrary: fc.constant('plain') },
        { weight: 3, arbitrary: fc.constant('read') },
      ),
      { maxLength: 60 },
    );
    const policy = fc.constantFrom('gap' as const, 'latest' as const);
    await fc.assert(
      fc.asyncProperty(
        actions,
        policy,
        fc.integer({ min: 1, max: 6 }),
        async (steps, overflow, buffer) => {
          const slow = reader({ buffer, overflow, key: ({ data }) => String(Number(data) % 3) });
          const items: Item<unknown>[] = [];
          let offset = 0;
          const read = async (): Promise<void> => {
            const { value } = await slow.next();
            items.push(value);
          };
          for (const step of steps) {
            if (step === 'read') {
              if (slow.waiting > 0) await read();
            } else if (step === 'plain') slow.publication(publication(undefined, 1), 10);
            else if (step === 'gap') {
              slow.gap(gap(offset + 1, offset + 2));
              offset += 2;
            } else {
              offset += 1;
              slow.publication(publication(offset), 10);
            }
            expect(slow.waiting).toBeLessThanOrEqual(buffer);
          }
          while (slow.waiting > 0) await read();
          let at = 0;
          for (const item of items) {
            const [from, to] =
              item.kind === 'gap'
                ? [item.from, item.to]
                : [(item as Publication<unknown>).offset, (item as Publication<unknown>).offset];
            if (from === undefined) continue;
            expect(from).toBe(at + 1);
            at = to!;
          }
          expect(at).toBe(offset);
          await settle();
        },
      ),
    );
  });
});
