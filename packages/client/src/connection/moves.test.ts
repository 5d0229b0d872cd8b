import { describe, expect, it } from 'vitest';
import { settle } from '../testing/fake-runtime.ts';
import { Bench, MOVE_NOTICE } from '../testing/fake-socket.ts';
import { short } from '../testing/short-items.ts';

const CHANNEL = 'BTC.trade';

describe('moving to another node', () => {
  it('opens the new connection at afterMs, and leaves the old one when the new one has all', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(MOVE_NOTICE);
    expect(bench.client.state).toMatchObject({
      name: 'online',
      leaving: { deadline: expect.any(Number) },
    });
    await bench.runtime.pass(999);
    expect(bench.sockets).toHaveLength(1);
    await bench.runtime.pass(1);
    old.publish(CHANNEL, 11);
    const next = await bench.accept();
    expect(next.asked).toEqual([{ channel: CHANNEL, since: { epoch: 'e1', offset: 11 } }]);
    old.publish(CHANNEL, 12);
    next.answer(CHANNEL, { epoch: 'e1', offset: 13, recovered: true, replayed: 2 });
    old.publish(CHANNEL, 13);
    next.publish(CHANNEL, 12);
    expect(old.closedWith).toBeUndefined();
    next.publish(CHANNEL, 13);
    expect(old.closedWith).toBe(1000);
    next.publish(CHANNEL, 14);
    await settle();
    expect(short(items.items)).toEqual([11, 12, 13, 14]);
    expect(bench.client.state).not.toHaveProperty('leaving');
    expect(bench.events.gap).toEqual([]);
  });

  it('goes on with the old connection when the new one fails before or within the move', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(MOVE_NOTICE);
    await bench.runtime.pass(1_000);
    bench.socket.ends();
    old.publish(CHANNEL, 11);
    expect(bench.client.state.name).toBe('online');
    await bench.runtime.pass(1_000);
    const second = await bench.accept();
    second.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 1 });
    second.ends();
    old.publish(CHANNEL, 12);
    expect(bench.client.state.name).toBe('online');
    await bench.runtime.pass(2_000);
    const third = await bench.accept();
    expect(third.asked[0]!.since).toEqual({ epoch: 'e1', offset: 12 });
    third.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 0 });
    expect(old.closedWith).toBe(1000);
    third.publish(CHANNEL, 13);
    await settle();
    expect(short(items.items)).toEqual([11, 12, 13]);
  });

  it('goes on opening when the old connection ends first', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    old.tell(MOVE_NOTICE);
    await bench.runtime.pass(1_000);
    old.ends(1012);
    expect(bench.client.state.name).toBe('connecting');
    const next = await bench.accept();
    next.answer(CHANNEL, { epoch: 'e1', offset: 11, recovered: true, replayed: 1 });
    next.publish(CHANNEL, 11);
    await settle();
    expect(short(items.items)).toEqual([11, 'recovered']);
  });

  it('waits for the answers that the old connection owes before it asks the new one', async () => {
    const bench = new Bench();
    bench.client.channel('a').subscribe(() => {});
    bench.client.channel('b').subscribe(() => {});
    const old = await bench.accept();
    old.answer('a', { epoch: 'e1', offset: 5 }, false);
    const next = await bench.moves();
    expect(next.asked).toEqual([{ channel: 'a', since: { epoch: 'e1', offset: 5 } }]);
    old.answer('b', { epoch: 'e1', offset: 7 });
    await settle();
    expect(next.asked[1]).toEqual({ channel: 'b', since: { epoch: 'e1', offset: 7 } });
    next.answer('a', { epoch: 'e1', offset: 5, recovered: true, replayed: 0 });
    expect(old.closedWith).toBeUndefined();
    next.answer('b', { epoch: 'e1', offset: 7, recovered: true, replayed: 0 });
    expect(old.closedWith).toBe(1000);
  });

  it('leaves a channel without offsets before it asks for it, and tells a gap', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.accept();
    old.answer(CHANNEL);
    const next = await bench.moves();
    expect(next.asked).toEqual([]);
    expect(old.requests('unsubscribe')).toHaveLength(1);
    old.publish(CHANNEL, undefined);
    old.released();
    await settle();
    next.answer(CHANNEL);
    next.publish(CHANNEL, undefined);
    await settle();
    expect(short(items.items)).toEqual(['plain', 'gap undefined-undefined handover', 'plain']);
    expect(old.closedWith).toBe(1000);
  });

  it('tells what neither connection brought', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    const next = await bench.moves();
    next.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 2 });
    // The new connection would bring these, and dies.
    old.tell({
      type: 'gap',
      channel: CHANNEL,
      epoch: 'e1',
      from: 11,
      to: 12,
      lost: 2,
      reason: 'slow',
    });
    old.publish(CHANNEL, 13);
    next.ends();
    old.publish(CHANNEL, 14);
    await settle();
    expect(short(items.items)).toEqual(['gap 11-13 handover', 14]);
  });

  const entering = (epoch: string) =>
    ({ type: 'resync', channel: CHANNEL, epoch, offset: 0, reason: 'history_lost' }) as const;

  it('enters an epoch once, though the new connection is told of it later', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    const next = await bench.moves();
    old.tell(entering('e2'));
    for (const offset of [1, 2]) old.publish(CHANNEL, offset);
    next.answer(CHANNEL, { epoch: 'e1', offset: 11, recovered: true, replayed: 1 });
    next.publish(CHANNEL, 11);
    next.publish(CHANNEL, 12);
    next.tell({ ...{ type: 'gap', channel: CHANNEL, epoch: 'e1' }, from: 13, to: 14 });
    next.tell(entering('e2'));
    for (const offset of [1, 2, 3]) next.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual(['resync history_lost', 1, 2, 3]);
    expect(bench.events.resync).toHaveLength(1);
    expect(old.closedWith).toBe(1000);
  });

  it.each([
    { offset: 1, sent: [2, 3, 4], expected: [3, 4] },
    { offset: 2, sent: [3, 4], expected: [3, 4] },
    { offset: 4, sent: [5], expected: ['gap 3-4 handover', 5] },
  ])('goes on in an epoch of which the new node has $offset', async (answer) => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const old = await bench.live(CHANNEL);
    const next = await bench.moves();
    old.tell(entering('e2'));
    for (const offset of [1, 2]) old.publish(CHANNEL, offset);
    const fields = { recovered: false, replayed: 0, reason: 'epoch_changed' };
    next.answer(CHANNEL, { epoch: 'e2', offset: answer.offset, ...fields });
    for (const offset of answer.sent) next.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual(['resync history_lost', 1, 2, ...answer.expected]);
  });

  it('enters an epoch once, though it goes back to the connection that is behind', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    bench.client.channel('b').subscribe(() => {});
    const old = await bench.accept();
    old.answer(CHANNEL, { epoch: 'e1', offset: 10 }, false);
    old.answer('b', { epoch: 'e1', offset: 5 });
    const next = await bench.moves();
    next.answer(CHANNEL, { epoch: 'e1', offset: 10, recovered: true, replayed: 0 }, false);
    next.tell(entering('e2'));
    for (const offset of [1, 2]) next.publish(CHANNEL, offset);
    next.ends();
    old.tell(entering('e2'));
    for (const offset of [1, 2, 3]) old.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual(['resync history_lost', 1, 2, 3]);
  });

  it('loses nothing for a consumer that was paused when the epoch ended', async () => {
    const bench = new Bench();
    const channel = bench.client.channel(CHANNEL);
    const fast = bench.collect(channel.items());
    const slow = channel.items({ buffer: 2, overflow: 'pause' });
    const old = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13]) old.publish(CHANNEL, offset);
    old.tell(MOVE_NOTICE);
    await bench.runtime.pass(1_000);
    const seen = [(await slow.next()).value];
    const next = await bench.accept();
    expect(next.asked.at(-1)!.since).toEqual({ epoch: 'e1', offset: 12 });
    old.tell(entering('e2'));
    for (const offset of [1, 2]) old.publish(CHANNEL, offset);
    next.answer(CHANNEL, { epoch: 'e1', offset: 13, recovered: true, replayed: 1 });
    next.publish(CHANNEL, 13);
    next.tell(entering('e2'));
    for (const offset of [1, 2, 3]) next.publish(CHANNEL, offset);
    await bench.runtime.pass(1_000);
    next.released();
    await settle();
    expect(next.asked.at(-1)!.since).toEqual({ epoch: 'e2', offset: 0 });
    next.answer(CHANNEL, { epoch: 'e2', offset: 3, recovered: true, replayed: 3 });
    for (const offset of [1, 2, 3]) {
      next.publish(CHANNEL, offset);
      seen.push((await slow.next()).value);
    }
    expect(short(seen)).toEqual([11, 12, 'resync history_lost', 1]);
    expect(short(fast.items)).toEqual([11, 12, 13, 'resync history_lost', 1, 2, 3]);
  });

  it('goes on behind its own offset at a node that is behind and cannot look', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const first = await bench.live(CHANNEL);
    first.publish(CHANNEL, 11);
    first.ends();
    await bench.runtime.pass(500);
    const second = await bench.accept();
    const fields = { recovered: false, replayed: 0, reason: 'unavailable' };
    second.answer(CHANNEL, { epoch: 'e1', offset: 9, ...fields });
    for (const offset of [10, 11, 12]) second.publish(CHANNEL, offset);
    await settle();
    expect(short(items.items)).toEqual([11, 12]);
  });

  it('moves again after a move that the first connection did not live to see', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const old = await bench.live(CHANNEL);
    old.tell(MOVE_NOTICE);
    await bench.runtime.pass(1_000);
    old.ends(1012);
    const next = await bench.accept();
    next.answer(CHANNEL, { epoch: 'e1', offset: 10, recovered: true, replayed: 0 });
    expect(bench.client.state).not.toHaveProperty('leaving');
    next.tell(MOVE_NOTICE);
    await bench.runtime.pass(1_000);
    expect(bench.sockets).toHaveLength(3);
  });

  it('leaves the old connection at its deadline', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const old = await bench.live(CHANNEL);
    const next = await bench.moves();
    next.answer(CHANNEL, { epoch: 'e1', offset: 12, recovered: true, replayed: 2 });
    await bench.runtime.pass(18_999);
    expect(old.closedWith).toBeUndefined();
    await bench.runtime.pass(1);
    expect(old.closedWith).toBe(1000);
    expect(bench.sockets.filter(({ readyState }) => readyState < 2)).toHaveLength(1);
  });
});
