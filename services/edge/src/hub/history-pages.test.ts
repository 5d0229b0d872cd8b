import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { HistoryPages } from './history-pages.ts';
import { FakeChannelStore } from './testing/hub-under-test.ts';

const BOUNDS = { maxReplayBytes: 1_000_000, maxPublicationBytes: 65_536 };
/** The bytes that each entry counts besides its payload. */
const ENTRY_BYTES = 256;

/** A channel whose history holds entries of these sizes, by offset; undefined: none. */
function setUp(sizes: readonly (number | undefined)[], bounds = BOUNDS) {
  const store = new FakeChannelStore();
  const end = { epoch: 'E', offset: sizes.length };
  store.positions.set('a', end);
  store.logs.set(
    'a',
    sizes.flatMap((size, i) =>
      size === undefined
        ? []
        : [{ offset: i + 1, publishedAt: 1, payload: Buffer.alloc(size, 0x31) }],
    ),
  );
  let read = 0;
  const pages = new HistoryPages(store, bounds, (bytes) => {
    read += bytes;
  });
  return { store, pages, end, read: () => read };
}

const offsetsOf = (page: { readonly publications: readonly { readonly offset: number }[] }) =>
  page.publications.map(({ offset }) => offset);

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

describe('HistoryPages: back', () => {
  it('reads all that was asked for and one entry before it, in few pages', async () => {
    const { store, pages, end } = setUp(Array(1_000).fill(200));
    const page = await pages.readBack('a', 101, end);
    expect(page).toMatchObject({ position: end, tooLongBefore: undefined });
    expect(offsetsOf(page)).toEqual(numbers(100, 1_000));
    expect(store.calls.length).toBeLessThan(12);
  });

  it('stops where no more may be replayed, and says where that is', async () => {
    const { store, pages, end, read } = setUp(Array(1_000).fill(30_000));
    const page = await pages.readBack('a', 1, end);
    const fitting = Math.floor(BOUNDS.maxReplayBytes / (30_000 + ENTRY_BYTES));
    expect(page.tooLongBefore).toBe(1_000 - fitting + 1);
    expect(offsetsOf(page)).toEqual(numbers(1_000 - fitting + 1, 1_000));
    expect(store.bytesRead, 'control: all of it is 30 MB').toBeLessThan(2_000_000);
    expect(read()).toBe(page.bytes);
  });

  it('reads a single one of entries that are far larger than any that is delivered', async () => {
    const { store, pages, end } = setUp([10, 10, 30_000_000, 30_000_000, 30_000_000]);
    const page = await pages.readBack('a', 1, end);
    expect(page).toMatchObject({ tooLongBefore: 5 });
    expect(store.bytesRead).toBe(30_000_000);
  });

  it('does not count entries that cannot be delivered', async () => {
    const sizes = [...Array(20).fill(10), ...Array(20).fill(70_000), ...Array(20).fill(10)];
    const { pages, end } = setUp(sizes);
    const page = await pages.readBack('a', 1, end);
    expect(page.tooLongBefore).toBeUndefined();
    expect(offsetsOf(page)).toEqual(numbers(1, 60));
  });

  it('finds out in a page or two that there is nothing more', async () => {
    const sizes = [...Array(100_000).fill(undefined), 10, 10, 10];
    const { store, pages, end } = setUp(sizes);
    expect(offsetsOf(await pages.readBack('a', 1, end))).toEqual([100_001, 100_002, 100_003]);
    expect(store.calls.length).toBeLessThan(6);
  });

  it('is empty after one page where the channel has not gone so far, or is in another epoch', async () => {
    const { store, pages } = setUp(Array(100).fill(10));
    for (const until of [
      { epoch: 'E', offset: 101 },
      { epoch: 'F', offset: 100 },
    ]) {
      store.calls.length = 0;
      expect(await pages.readBack('a', 1, until)).toMatchObject({
        publications: [],
        isWhole: false,
      });
      expect(store.calls).toHaveLength(1);
    }
  });

  it('brings the same as one read, whatever is missing and however large the entries are', async () => {
    const size = fc.option(fc.constantFrom(1, 300, 20_000, 65_000, 80_000), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        fc.array(size, { minLength: 1, maxLength: 300 }),
        fc.nat(),
        async (of, at) => {
          const { store, pages, end } = setUp(of);
          const from = 1 + (at % of.length);
          const { tooLongBefore, ...page } = await pages.readBack('a', from, end);
          const least = tooLongBefore ?? Math.max(1, from - 1);
          const all = (store.logs.get('a') ?? []).filter(({ offset }) => offset >= least);
          expect(offsetsOf(page)).toEqual(all.map(({ offset }) => offset));
          const delivered = all.filter(
            ({ payload }) => payload.length <= BOUNDS.maxPublicationBytes,
          );
          const bytes = delivered.reduce(
            (sum, { payload }) => sum + payload.length + ENTRY_BYTES,
            0,
          );
          const guard = tooLongBefore === undefined ? BOUNDS.maxPublicationBytes + ENTRY_BYTES : 0;
          expect(bytes).toBeLessThanOrEqual(BOUNDS.maxReplayBytes + guard);
        },
      ),
      cases(300),
    );
  });
});

describe('HistoryPages: forward', () => {
  it('reads as many as were asked for, in pages, and says whether that is all', async () => {
    const { store, pages } = setUp(Array(1_000).fill(200));
    const page = await pages.readForward('a', 11, 500);
    expect(page.isWhole).toBe(false);
    expect(offsetsOf(page)).toEqual(numbers(11, 510));
    expect(store.calls.length).toBeLessThan(10);
    const rest = await pages.readForward('a', 511, 500);
    expect(rest.isWhole).toBe(true);
    expect(offsetsOf(rest)).toEqual(numbers(511, 1_000));
  });

  it('reads on past entries that are no publications', async () => {
    const { store, pages } = setUp(Array(50).fill(10));
    const read = store.readHistory.bind(store);
    store.readHistory = async (channel, from, limit, to) => {
      const page = await read(channel, from, limit, to);
      const { publications } = page;
      return {
        ...page,
        publications: publications.filter(({ offset }) => offset % 7 > 2),
        ...{ entries: publications.length, last: publications.at(-1)?.offset ?? 0 },
      };
    };
    const page = await pages.readForward('a', 1, 100);
    expect(page.isWhole).toBe(true);
    expect(offsetsOf(page)).toEqual(numbers(1, 50).filter((offset) => offset % 7 > 2));
  });

  it('is empty when another epoch begins meanwhile', async () => {
    const { store, pages } = setUp(Array(50).fill(10));
    const read = store.readHistory.bind(store);
    store.readHistory = async (...asked) => {
      const page = await read(...asked);
      store.positions.set('a', { epoch: 'F', offset: 50 });
      return page;
    };
    expect(await pages.readForward('a', 1, 100)).toEqual({
      ...{ position: { epoch: 'F', offset: 50 }, publications: [] },
    });
  });
});
