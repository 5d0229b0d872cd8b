import { describe, expect, it } from 'vitest';
import { settle } from './testing/fake-runtime.ts';
import { Bench, type FakeSocket } from './testing/fake-socket.ts';
import type { Item, Position, PositionStore, Publication } from './types.ts';

const CHANNEL = 'BTC.trade';
const LATEST = { latest: { everyMs: 250 } } as const;

describe('a channel of which the latest is wanted', () => {
  it('asks the server for it, and takes jumps of offsets for what they are', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST).items());
    const socket = await live(bench, 250);
    expect(socket.asked).toEqual([{ channel: CHANNEL, ...LATEST }]);
    socket.publish(CHANNEL, 11);
    publish(socket, 30, 18);
    await settle();
    expect(short(items.items)).toEqual(['11', '30 after 18']);
    expect(bench.events.gap).toEqual([]);
  });

  it('is told what is lost, and never what is skipped', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST).items());
    const socket = await live(bench, 250);
    const gap = { type: 'gap', channel: CHANNEL, epoch: 'e1', from: 14, to: 19, lost: 2 };
    socket.tell({ ...gap, reason: 'too_large' });
    publish(socket, 30, 17);
    await settle();
    expect(short(items.items)).toEqual(['gap 14-19: 2', '30 after 17']);
  });

  it('resumes with the newest, and counts what was left out', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST).items());
    const first = await live(bench, 250);
    first.publish(CHANNEL, 11);
    first.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    expect(second.asked).toEqual([
      { channel: CHANNEL, since: { epoch: 'e1', offset: 11 }, ...LATEST },
    ]);
    second.answer(CHANNEL, {
      ...{ epoch: 'e1', offset: 400, recovered: true, replayed: 1 },
      ...{ skipped: 388, ...LATEST },
    });
    second.publish(CHANNEL, 400);
    publish(second, 420, 19);
    await settle();
    expect(short(items.items)).toEqual(['11', '400 after 388', 'recovered', '420 after 19']);
    expect(bench.events.gap).toEqual([]);
  });

  it('counts what was left out once in a move, whichever connection brought the others', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST).items());
    const old = await live(bench, 250);
    const next = await bench.moves();
    publish(old, 20, 9);
    const skipped = { recovered: true, replayed: 1, skipped: 19, ...LATEST };
    next.answer(CHANNEL, { epoch: 'e1', offset: 30, ...skipped });
    next.publish(CHANNEL, 30);
    await settle();
    expect(short(items.items)).toEqual(['20 after 9', '30 after 9']);
  });

  it('counts as left out what it did not take from the old connection when the new one dies', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST).items());
    bench.client.channel('b').subscribe(() => {});
    const old = await bench.accept();
    old.answer(CHANNEL, { epoch: 'e1', offset: 10, ...LATEST }, false);
    old.answer('b', { epoch: 'e1', offset: 1 });
    const next = await bench.moves();
    next.answer(
      CHANNEL,
      { epoch: 'e1', offset: 10, recovered: true, replayed: 0, ...LATEST },
      false,
    );
    publish(old, 15, 4);
    const gap = { type: 'gap', channel: CHANNEL, epoch: 'e1', from: 17, to: 19, lost: 2 };
    next.ends();
    old.tell({ ...gap, reason: 'slow' });
    publish(old, 22, 4);
    await settle();
    expect(short(items.items)).toEqual(['gap 17-19: 2', '22 after 9']);
  });

  it('does not count what was left out before the channel was left', async () => {
    const bench = new Bench();
    const before = bench.client.channel(CHANNEL, LATEST).subscribe(() => {});
    const socket = await live(bench, 250);
    const gap = { type: 'gap', channel: CHANNEL, epoch: 'e1', from: 14, to: 19, lost: 2 };
    socket.tell({ ...gap, reason: 'slow' });
    before.unsubscribe();
    await bench.runtime.pass(3_000);
    socket.tell({ type: 'unsubscribed', id: lastId(socket), channels: [CHANNEL] });
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST).items());
    await settle();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 40, ...LATEST });
    publish(socket, 41, 0);
    await settle();
    expect(short(items.items)).toEqual(['41']);
  });

  it('says of no publication that one was left out before it when all are wanted and an unknown number was lost', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await live(bench, undefined);
    const gap = { type: 'gap', channel: CHANNEL, epoch: 'e1', from: 11, to: 19 };
    socket.tell({ ...gap, reason: 'slow' });
    socket.publish(CHANNEL, 20);
    await settle();
    expect(short(items.items)).toEqual(['gap 11-19: undefined', '20']);
  });

  it('has all of it for who wants all, and as before for the other', async () => {
    const bench = new Bench();
    const slow = bench.collect(bench.client.channel(CHANNEL, LATEST));
    const socket = await live(bench, 250);
    const all = bench.collect(bench.client.channel(CHANNEL));
    await settle();
    expect(socket.asked.at(-1)).toEqual({ channel: CHANNEL, since: at(10) });
    expect(socket.requests('unsubscribe')).toEqual([]);
    socket.answer(CHANNEL, { epoch: 'e1', offset: 10 });
    for (let offset = 11; offset <= 16; offset += 1) socket.publish(CHANNEL, offset);
    await bench.runtime.pass(250);
    expect(short(all.items)).toEqual(['11', '12', '13', '14', '15', '16']);
    expect(short(slow.items)).toEqual(['11', '16 after 4']);
    await bench.runtime.pass(1_000);
    socket.publish(CHANNEL, 17);
    await settle();
    expect(short(slow.items).at(-1)).toBe('17');
  });

  it('goes back to the latest when nobody wants all any more', async () => {
    const bench = new Bench();
    bench.collect(bench.client.channel(CHANNEL, LATEST));
    const subscription = bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await live(bench, undefined);
    expect(socket.asked).toEqual([{ channel: CHANNEL }]);
    subscription.unsubscribe();
    await settle();
    expect(socket.asked.at(-1)).toEqual({ channel: CHANNEL, since: at(10), ...LATEST });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 10, ...LATEST });
    publish(socket, 20, 9);
    await settle();
    expect(bench.events.gap).toEqual([]);
  });

  it('is asked for in the shortest interval that anybody wants', async () => {
    const bench = new Bench();
    const slow = bench.collect(bench.client.channel(CHANNEL, { latest: { everyMs: 1_000 } }));
    const fast = bench.collect(bench.client.channel(CHANNEL, LATEST));
    const socket = await live(bench, 250);
    expect(socket.asked).toEqual([{ channel: CHANNEL, ...LATEST }]);
    publish(socket, 11, 0);
    publish(socket, 20, 8);
    publish(socket, 30, 9);
    await bench.runtime.pass(999);
    expect(short(fast.items)).toEqual(['11', '20 after 8', '30 after 9']);
    expect(short(slow.items)).toEqual(['11']);
    await bench.runtime.pass(1);
    expect(short(slow.items)).toEqual(['11', '30 after 18']);
  });

  it('is made of all where the server is older and sends all', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST).items());
    const socket = await live(bench, undefined);
    for (let offset = 11; offset <= 15; offset += 1) socket.publish(CHANNEL, offset);
    socket.tell({
      ...{ type: 'gap', channel: CHANNEL, epoch: 'e1', from: 16, to: 16 },
      ...{ lost: 1, reason: 'slow' },
    });
    await settle();
    expect(short(items.items)).toEqual(['11', '15 after 3', 'gap 16-16: 1']);
    socket.publish(CHANNEL, 18);
    await settle();
    expect(short(items.items)).toHaveLength(4);
    await bench.runtime.pass(250);
    expect(short(items.items).slice(3)).toEqual(['gap 17-17: 1', '18']);
    expect(socket.asked).toHaveLength(1);
  });

  it('keeps no position of what it holds back: another page continues before it', async () => {
    const kept = new Map<string, Position | undefined>();
    const positions: PositionStore = {
      load: () => undefined,
      save: (changed) => {
        for (const [name, position] of changed) kept.set(name, position);
      },
    };
    const bench = new Bench({ positions });
    const given: number[] = [];
    bench.client
      .channel(CHANNEL, { latest: { everyMs: 2_000 } })
      .subscribe(({ offset }) => void given.push(offset!));
    const socket = await live(bench, undefined);
    for (let offset = 11; offset <= 15; offset += 1) socket.publish(CHANNEL, offset);
    await bench.runtime.pass(1_000);
    expect(given).toEqual([11]);
    expect(kept.get(CHANNEL)).toEqual({ epoch: 'e1', offset: 11 });
    await bench.runtime.pass(1_000);
    socket.publish(CHANNEL, 16);
    await bench.runtime.pass(1_000);
    expect(given).toEqual([11, 15]);
    expect(kept.get(CHANNEL)).toEqual({ epoch: 'e1', offset: 15 });
    await bench.client.close();
  });

  it('asks again later when a change is refused, and keeps the channel', async () => {
    const bench = new Bench();
    bench.collect(bench.client.channel(CHANNEL, LATEST));
    const socket = await live(bench, 250);
    const all = bench.collect(bench.client.channel(CHANNEL));
    await settle();
    const { id } = socket.requests('subscribe').at(-1)!;
    socket.tell({
      ...{ type: 'error', id, code: 'rate_limited', message: '' },
      ...{ retryable: true, retryAfterMs: 700 },
    });
    publish(socket, 20, 9);
    await settle();
    expect(short(all.items)).toEqual(['20 after 9']);
    await bench.runtime.pass(699);
    expect(socket.asked).toHaveLength(2);
    await bench.runtime.pass(1);
    expect(socket.asked).toHaveLength(3);
    expect(socket.asked.at(-1)).toEqual({ channel: CHANNEL, since: at(20) });
  });

  it('asks again when the answer says that a change was not carried out', async () => {
    const bench = new Bench();
    bench.collect(bench.client.channel(CHANNEL, LATEST));
    const socket = await live(bench, 250);
    const all = bench.collect(bench.client.channel(CHANNEL));
    await settle();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 10, ...LATEST });
    publish(socket, 20, 9);
    await bench.runtime.pass(1_000);
    expect(socket.asked).toHaveLength(3);
    expect(socket.asked.at(-1)).toEqual({ channel: CHANNEL, since: at(20) });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 20 });
    socket.publish(CHANNEL, 21);
    await bench.runtime.pass(5_000);
    expect(short(all.items)).toEqual(['20 after 9', '21']);
    expect(socket.asked, 'an answer that carries it out is the last one').toHaveLength(3);
  });

  it('continues when the node ends the channel before it reads a change', async () => {
    const { bench, socket, all } = await endedWhileChanging();
    // The node holds it no longer, so the change is a new subscription.
    const answer = { epoch: 'e1', offset: 32, recovered: true, replayed: 12 };
    socket.answer(CHANNEL, answer);
    for (let offset = 21; offset <= 33; offset += 1) socket.publish(CHANNEL, offset);
    await bench.runtime.pass(5_000);
    expect(short(all.items)).toEqual(['30 after 9', '31', '32', 'recovered', '33']);
    expect(bench.events.gap).toEqual([]);
    expect(socket.asked, 'and it is not asked for again').toHaveLength(2);
    expect(bench.client.channel(CHANNEL).state.name).toBe('live');
  });

  it('continues when the node ends the channel between two changes', async () => {
    const bench = new Bench();
    const { socket, first, all } = await changeTwice(bench);
    expect(socket.asked.slice(1)).toEqual([
      { channel: CHANNEL, since: at(10), ...LATEST },
      { channel: CHANNEL, since: at(10) },
    ]);
    const channels = [{ channel: CHANNEL, ref: 1, epoch: 'e1', offset: 10, ...LATEST }];
    socket.tell({ type: 'subscribed', id: first, channels, rejected: [], done: true });
    socket.tell({ type: 'unsubscribed', channels: [CHANNEL], reason: 'unavailable' });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 2 });
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    await bench.runtime.pass(5_000);
    expect(short(all.items)).toEqual(['11', '12', 'recovered', '13']);
    expect(bench.events.gap).toEqual([]);
    expect(bench.client.stats().ignored, 'the node sent nothing in vain').toBe(0);
    expect(socket.asked, 'and it is not asked for again').toHaveLength(3);
  });

  it('asks no third time when the first of two changes is refused', async () => {
    const bench = new Bench();
    const { socket, first: id, all } = await changeTwice(bench);
    const refused = { type: 'error', id, code: 'rate_limited', message: '', retryable: true };
    socket.tell({ ...refused, retryAfterMs: 700 });
    socket.tell({ type: 'unsubscribed', channels: [CHANNEL], reason: 'unavailable' });
    socket.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 2 });
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    await bench.runtime.pass(5_000);
    expect(short(all.items)).toEqual(['11', '12', 'recovered', '13']);
    expect(bench.events.gap).toEqual([]);
    expect(socket.asked).toHaveLength(3);
  });

  it.each(['error', 'subscribed'])(
    'continues by the second of two changes when the first is refused by `%s` after the channel has ended',
    async (type) => {
      const bench = new Bench();
      const { socket, first: id, all } = await changeTwice(bench);
      const why = { code: 'rate_limited', retryAfterMs: 700 };
      socket.tell({ type: 'unsubscribed', channels: [CHANNEL], reason: 'unavailable' });
      if (type === 'error') socket.tell({ type, id, message: '', retryable: true, ...why });
      else {
        const rejected = [{ channel: CHANNEL, ...why }];
        socket.tell({ type, id, channels: [], rejected, done: true });
      }
      expect(bench.client.channel(CHANNEL).state.name).toBe('subscribing');
      socket.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 2 });
      for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
      await bench.runtime.pass(5_000);
      expect(short(all.items)).toEqual(['11', '12', 'recovered', '13']);
      expect(bench.events.gap).toEqual([]);
      expect(bench.client.stats().ignored, 'the node sent nothing in vain').toBe(0);
      expect(socket.asked, 'and it is not asked for again').toHaveLength(3);
    },
  );

  it('tells as lost only what was not delivered since a change was sent', async () => {
    const { bench, socket, all } = await endedWhileChanging();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 32 });
    await settle();
    expect(short(all.items)).toEqual(['30 after 9', 'gap 31-32: 2']);
    expect(bench.events.gap).toMatchObject([{ from: 31, to: 32, lost: 2 }]);
  });

  it.each(['unavailable', 'channel_not_allowed'])(
    'believes the answer to such a change if it is %s',
    async (code) => {
      const bench = new Bench();
      bench.collect(bench.client.channel(CHANNEL, LATEST));
      const socket = await live(bench, 250);
      bench.collect(bench.client.channel(CHANNEL));
      await settle();
      socket.tell({ type: 'unsubscribed', channels: [CHANNEL], reason: code });
      expect(bench.client.channel(CHANNEL).state.name).toBe('subscribing');
      socket.reject(CHANNEL, code);
      await settle();
      const isFinal = code === 'channel_not_allowed';
      const { state } = bench.client.channel(CHANNEL);
      expect(state.name).toBe(isFinal ? 'failed' : 'retrying');
      await bench.runtime.pass(2_000);
      expect(socket.asked).toHaveLength(isFinal ? 2 : 3);
    },
  );

  it('takes nothing for lost that was left out before a change and comes behind its answer', async () => {
    const bench = new Bench();
    bench.collect(bench.client.channel(CHANNEL, LATEST));
    const first = await live(bench, 250);
    first.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    const skipped = { recovered: true, replayed: 1, skipped: 389 };
    second.answer(CHANNEL, { epoch: 'e1', offset: 400, ...skipped, ...LATEST });
    const all = bench.collect(bench.client.channel(CHANNEL));
    await settle();
    second.answer(CHANNEL, { epoch: 'e1', offset: 405 });
    second.publish(CHANNEL, 400);
    publish(second, 405, 4);
    await settle();
    expect(bench.events.gap).toEqual([]);
    expect(short(all.items)).toEqual(['400 after 389', '405 after 4']);
    second.publish(CHANNEL, 407);
    await settle();
    expect(bench.events.gap, 'control: what is missing behind it is lost').toMatchObject([
      { from: 406, to: 406, reason: 'unannounced' },
    ]);
  });

  it('gives an iterator what is held back before it ends with an error', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL, LATEST));
    const socket = await live(bench, undefined);
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    const reason = 'channel_not_allowed';
    socket.tell({ type: 'unsubscribed', channels: [CHANNEL], reason });
    await settle();
    expect(short(items.items)).toEqual(['11', '13 after 1']);
    expect(items.error).toMatchObject({ code: reason });
  });

  it('is the same object for the same interval, and refuses others', () => {
    const { client } = new Bench();
    expect(client.channel(CHANNEL, LATEST)).toBe(client.channel(CHANNEL, LATEST));
    expect(client.channel(CHANNEL, LATEST)).not.toBe(client.channel(CHANNEL));
    for (const everyMs of [0, 249, Number.NaN, '250'] as never[]) {
      expect(() => client.channel(CHANNEL, { latest: { everyMs } })).toThrow(RangeError);
    }
  });

  it('leaves no timer behind', async () => {
    const bench = new Bench();
    const subscription = bench.client.channel(CHANNEL, LATEST).subscribe(() => {});
    const socket = await live(bench, undefined);
    const before = bench.runtime.timers;
    socket.publish(CHANNEL, 11);
    socket.publish(CHANNEL, 12);
    expect(bench.runtime.timers).toBe(before + 1);
    subscription.unsubscribe();
    await bench.client.close();
    expect(bench.runtime.timers).toBe(0);
  });
});

function at(offset: number): Position {
  return { epoch: 'e1', offset };
}

/** A socket on which the channel is held at offset 10; the server sends the latest every so many ms, or all. */
async function live(bench: Bench, everyMs: number | undefined): Promise<FakeSocket> {
  const socket = await bench.accept();
  const latest = everyMs === undefined ? {} : { latest: { everyMs } };
  socket.answer(CHANNEL, { epoch: 'e1', offset: 10, ...latest });
  await settle();
  return socket;
}

/** A channel that comes whole, with two changes under way: `first` is the request to the latest; the second, back to all, is for `all`. */
async function changeTwice(bench: Bench) {
  bench.collect(bench.client.channel(CHANNEL, LATEST));
  const subscription = bench.client.channel(CHANNEL).subscribe(() => {});
  const socket = await live(bench, undefined);
  subscription.unsubscribe();
  await settle();
  const first = socket.requests('subscribe').at(-1)!.id;
  const all = bench.collect(bench.client.channel(CHANNEL).items());
  await settle();
  return { socket, first, all };
}

/** A client that had the latest and asked for everything, when the node ended the channel before it read that. */
async function endedWhileChanging() {
  const bench = new Bench();
  bench.collect(bench.client.channel(CHANNEL, LATEST));
  const socket = await live(bench, 250);
  publish(socket, 20, 9);
  const all = bench.collect(bench.client.channel(CHANNEL).items());
  await settle();
  publish(socket, 30, 9);
  socket.tell({ type: 'unsubscribed', channels: [CHANNEL], reason: 'unavailable' });
  return { bench, socket, all };
}

function lastId(socket: FakeSocket): unknown {
  return socket.requests('unsubscribe').at(-1)?.id;
}

function publish(socket: FakeSocket, offset: number, skipped: number): void {
  const ts = 1_796_000_000_000;
  const count = skipped === 0 ? {} : { skipped };
  socket.tell({ seq: offset, channel: CHANNEL, offset, ts, ...count, data: { n: offset } });
}

function short(items: readonly (Item<unknown> | Publication<unknown>)[]): string[] {
  return items.map((item) => {
    if (item.kind === 'gap') return `gap ${item.from}-${item.to}: ${item.lost}`;
    if (item.kind !== 'publication') return item.kind;
    return item.skipped === undefined ? `${item.offset}` : `${item.offset} after ${item.skipped}`;
  });
}
