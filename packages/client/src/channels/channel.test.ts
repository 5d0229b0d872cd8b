import { describe, expect, it } from 'vitest';
import { settle } from '../testing/fake-runtime.ts';
import { Bench } from '../testing/fake-socket.ts';
import { short } from '../testing/short-items.ts';
import type { Item, Publication } from '../types.ts';

const CHANNEL = 'BTC.trade';

describe('iterators', () => {
  it('end at once by break, return, throw and abort', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const other = bench.collect(channel.messages());
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const { offset } of channel) {
        seen.push(offset);
        break;
      }
    })();
    const abort = new AbortController();
    const aborted = channel.messages({ signal: abort.signal });
    const pending = aborted.next();
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 11);
    socket.publish(CHANNEL, 12);
    await loop;
    await pending;
    abort.abort('enough');
    await expect(aborted.next()).rejects.toBe('enough');
    expect(await aborted.next()).toEqual({ value: undefined, done: true });
    await bench.runtime.pass(10_000);
    expect(seen).toEqual([11]);
    expect(short(other.items)).toEqual([11, 12]);
    expect(socket.requests('unsubscribe')).toHaveLength(0);
  });

  it('stop a listener from its own body', async () => {
    const bench = new Bench();
    const seen: unknown[] = [];
    const subscription = bench.client.channel(CHANNEL).subscribe(({ offset }) => {
      seen.push(offset);
      subscription.unsubscribe();
    });
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 11);
    socket.publish(CHANNEL, 12);
    expect(seen).toEqual([11]);
  });

  it('pauses a channel that nobody reads fast enough, and continues without a loss', async () => {
    const bench = new Bench();
    const items = bench.client.channel(CHANNEL).items({ buffer: 4, overflow: 'pause' });
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13, 14]) socket.publish(CHANNEL, offset);
    await settle();
    expect(socket.requests('unsubscribe')).toHaveLength(1);
    socket.publish(CHANNEL, 15);
    socket.released();
    expect(bench.client.stats().buffered).toBe(4);
    await items.next();
    await items.next();
    await bench.runtime.pass(0);
    expect(socket.asked.at(-1)).toEqual({
      ...{ channel: CHANNEL, since: { epoch: 'e1', offset: 14 }, history: 1_000 },
    });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 15, recovered: true, replayed: 1 });
    socket.publish(CHANNEL, 15);
    const rest = [await items.next(), await items.next(), await items.next()];
    expect(short(rest.map(({ value }) => value))).toEqual([13, 14, 15]);
    expect(bench.events.gap).toEqual([]);
  });

  it('costs the others nothing when history does not reach back to a slow one', async () => {
    const { socket, fast, slow, seen } = await slowBesideFast();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 18, recovered: false, replayed: 3 });
    for (const offset of [16, 17, 18]) socket.publish(CHANNEL, offset);
    for (let i = 0; i < 4; i += 1) seen.push(await slow.next());
    expect(short(seen.map(({ value }) => value))).toEqual([
      ...[11, 12, 13, 14, 'gap 15-15 trimmed', 16],
    ]);
    await settle();
    expect(short(fast.items)).toEqual([11, 12, 13, 14, 15, 16, 17, 18]);
  });

  it('tells each what it lacks itself when history reaches back to neither', async () => {
    const { bench, socket, fast, slow, seen } = await slowBesideFast();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 19, recovered: false, replayed: 1 });
    socket.publish(CHANNEL, 19);
    for (let i = 0; i < 4; i += 1) seen.push(await slow.next());
    expect(short(seen.map(({ value }) => value))).toEqual([
      ...[11, 12, 13, 14, 'gap 15-18 trimmed', 19],
    ]);
    await settle();
    expect(short(fast.items).slice(5)).toEqual([16, 'gap 17-18 trimmed', 19]);
    expect(bench.events.gap).toMatchObject([{ from: 17, to: 18, lost: 2 }]);
  });

  it('ends only the iterator whose key throws, and others get every offset, live and replayed', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const key = ({ data }: Publication<unknown>): string =>
      (data as { symbol: { id: string } }).symbol.id;
    const keyed = (): AsyncIterable<Item<unknown>> => channel.items({ overflow: 'latest', key });
    const data = { symbol: { id: 'BTC' } };
    const live = bench.collect(keyed());
    const others = [bench.collect(channel.items()), bench.collect(channel.items())];
    const socket = await bench.live(CHANNEL);
    socket.publish(CHANNEL, 11, data);
    socket.publish(CHANNEL, 12, {});
    socket.publish(CHANNEL, 13, data);
    await settle();
    expect(short(live.items)).toEqual([11]);
    expect(live.error).toMatchObject({ code: 'listener_failed', cause: expect.any(TypeError) });
    const replayed = bench.collect(keyed());
    socket.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    second.answer(CHANNEL, { epoch: 'e1', offset: 15, recovered: true, replayed: 2 });
    second.publish(CHANNEL, 14, {});
    second.publish(CHANNEL, 15, data);
    await settle();
    expect(replayed.error).toMatchObject({ code: 'listener_failed' });
    for (const { items } of others) expect(short(items)).toEqual([11, 12, 13, 14, 15, 'recovered']);
    expect(channel.state.name).toBe('live');
  });

  it('pauses for one consumer while another reads on, and neither loses anything', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const fast = bench.collect(channel.items());
    const slow = channel.items({ buffer: 2, overflow: 'pause' });
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    await settle();
    expect(socket.requests('unsubscribe')).toHaveLength(0);
    await slow.next();
    await bench.runtime.pass(0);
    expect(socket.requests('unsubscribe')).toHaveLength(1);
    socket.publish(CHANNEL, 14);
    socket.released();
    await settle();
    expect(socket.asked.at(-1)!.since).toEqual({ epoch: 'e1', offset: 12 });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 15, recovered: true, replayed: 3 });
    const seen = [(await slow.next()).value];
    for (const offset of [13, 14, 15]) {
      socket.publish(CHANNEL, offset);
      await settle();
    }
    seen.push((await slow.next()).value, (await slow.next()).value);
    expect(short(seen)).toEqual([12, 13, 14]);
    expect(short(fast.items)).toEqual([11, 12, 13, 14, 15]);
  });

  it('leave no timer when one that would continue ends together with its channel', async () => {
    const bench = new Bench({ lingerMs: 0 });
    const items = bench.client.channel(CHANNEL).items({ buffer: 2, overflow: 'pause' });
    const socket = await bench.live(CHANNEL);
    for (const last of [12, 14]) {
      socket.publish(CHANNEL, last - 1);
      socket.publish(CHANNEL, last);
      await settle();
      socket.released();
      await items.next();
      await items.next();
      await bench.runtime.pass(0);
      if (last === 14) break;
      socket.answer(CHANNEL, { epoch: 'e1', offset: last, recovered: true, replayed: 0 });
    }
    expect(socket.asked, 'control: it waits for its second').toHaveLength(2);
    await items.return?.();
    await bench.runtime.pass(0);
    await bench.client.close();
    expect(bench.runtime.timers).toBe(0);
  });
});

describe('whoever is told the state of a channel', () => {
  it('may subscribe when nobody has it any more', async () => {
    const bench = new Bench({ lingerMs: 0 });
    const channel = bench.client.channel(CHANNEL);
    const first = channel.subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    const seen: unknown[] = [];
    whenFirst(bench, 'idle', () =>
      channel.subscribe({
        publication: ({ offset }) => seen.push(offset),
        state: ({ name }) => seen.push(name),
      }),
    );
    first.unsubscribe();
    await bench.runtime.pass(0);
    socket.released();
    await settle();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 12 });
    socket.publish(CHANNEL, 13);
    expect(seen).toEqual(['subscribing', 'live', 13]);
    expect(channel.state.name).toBe('live');
  });

  it('may ask again for one that failed, and tells the others so', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const states: string[] = [];
    const failed = bench.collect(channel.messages());
    channel.subscribe({ state: ({ name }) => states.push(name) });
    const later: { readonly items: unknown[] }[] = [];
    whenFirst(bench, 'failed', () => later.push(bench.collect(channel.messages())));
    const socket = await bench.accept();
    socket.reject(CHANNEL, 'forbidden');
    await settle();
    expect(failed.isDone, 'control: it ends for those who were there').toBe(true);
    expect(socket.asked).toHaveLength(2);
    socket.answer(CHANNEL, { epoch: 'e1', offset: 12 });
    socket.publish(CHANNEL, 13);
    await settle();
    expect(later.map(({ items }) => short(items))).toEqual([[13]]);
    expect(states).toEqual(['subscribing', 'live']);
  });
});

/** Acts when the client tells this state for the first time. */
function whenFirst(bench: Bench, name: string, act: () => void): void {
  const listening = bench.client.on('channel', ({ state }) => {
    if (state.name !== name) return;
    listening[Symbol.dispose]();
    act();
  });
}

/** Somebody who is paused after four items and goes on after two of them, beside somebody who has read on. The past was asked for. */
async function slowBesideFast() {
  const bench = new Bench();
  const channel = bench.client.channel(CHANNEL);
  const fast = bench.collect(channel.items());
  const slow = channel.items({ buffer: 4, overflow: 'pause' });
  const socket = await bench.live(CHANNEL);
  for (let offset = 11; offset <= 16; offset += 1) {
    socket.publish(CHANNEL, offset);
    await settle();
  }
  const seen = [await slow.next(), await slow.next()];
  await bench.runtime.pass(0);
  socket.released();
  await settle();
  return { bench, socket, fast, slow, seen };
}
