import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { toStore } from './store.ts';
import { settle } from './testing/fake-runtime.ts';
import { Bench } from './testing/fake-socket.ts';

const CHANNEL = 'BTC.trade';

let frames: (() => void)[] = [];

beforeEach(() => {
  frames = [];
  vi.stubGlobal('requestAnimationFrame', (act: () => void) => frames.push(act));
  vi.stubGlobal('cancelAnimationFrame', () => {});
});
afterEach(() => vi.unstubAllGlobals());

function frame(): void {
  for (const act of frames.splice(0)) act();
}

it('tells at most once a frame, and loses nothing in between', async () => {
  const bench = new Bench();
  const store = toStore(bench.client.channel(CHANNEL));
  const offsets: unknown[] = [];
  store.subscribe(({ items }) => offsets.push(items.map(({ offset }) => offset)));
  const socket = await bench.live(CHANNEL);
  for (const offset of [11, 12, 14]) socket.publish(CHANNEL, offset);
  frame();
  socket.publish(CHANNEL, 15);
  frame();
  frame();
  expect(offsets).toEqual([[], [11, 12, 14], [11, 12, 14, 15]]);
  expect(store.get()).toMatchObject({
    ...{ state: { name: 'live' }, latest: { offset: 15 } },
    missed: { count: 1, gaps: [{ from: 13, to: 13 }] },
  });
  expect(store.get()).toBe(store.get());
  await bench.client.close();
});

it('keeps the latest only', async () => {
  const bench = new Bench();
  const store = toStore(bench.client.channel(CHANNEL), { limit: 3 });
  store.subscribe(() => {});
  const socket = await bench.live(CHANNEL, 0);
  for (let offset = 1; offset <= 50; offset += 1) socket.publish(CHANNEL, offset);
  frame();
  expect(store.get().items.map(({ offset }) => offset)).toEqual([48, 49, 50]);
  await bench.client.close();
});

it('goes on over a double mount, and begins anew behind a hole', async () => {
  const bench = new Bench();
  const store = toStore(bench.client.channel(CHANNEL));
  const unsubscribe = store.subscribe(() => {});
  const socket = await bench.live(CHANNEL);
  socket.publish(CHANNEL, 11);
  frame();
  unsubscribe();
  const again = store.subscribe(() => {});
  expect(store.get().items).toHaveLength(1);
  again();
  socket.publish(CHANNEL, 12);
  store.subscribe(() => {});
  expect(store.get().items).toEqual([]);
  await settle();
  expect(socket.requests('subscribe')).toHaveLength(1);
  expect(socket.requests('unsubscribe')).toHaveLength(0);
  await bench.client.close();
});

it('tells the others when one listener throws, and hides nothing of it', async () => {
  const bench = new Bench();
  const store = toStore(bench.client.channel(CHANNEL));
  const seen: unknown[] = [];
  const stop = store.subscribe(({ latest }) => {
    if (latest !== undefined) throw new Error('of the application');
  });
  store.subscribe(({ latest }) => seen.push(latest?.offset));
  const socket = await bench.live(CHANNEL);
  socket.publish(CHANNEL, 11);
  const later: (() => void)[] = [];
  vi.stubGlobal('queueMicrotask', (act: () => void) => later.push(act));
  frame();
  vi.unstubAllGlobals();
  stop();
  expect(seen.at(-1)).toBe(11);
  expect(later).toHaveLength(1);
  expect(later[0]).toThrow('of the application');
  await bench.client.close();
});
