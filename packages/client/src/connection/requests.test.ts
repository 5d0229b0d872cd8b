import { describe, expect, it } from 'vitest';
import { settle } from '../testing/fake-runtime.ts';
import { Bench, type FakeSocket } from '../testing/fake-socket.ts';
import { short } from '../testing/short-items.ts';

const CHANNEL = 'BTC.trade';
const TIMEOUT_MS = 10_000;

describe('a request that nobody answers', () => {
  it('is sent again with its id when the node has answered a probe', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept();
    await bench.runtime.pass(TIMEOUT_MS);
    expect([socket.requests('ping').length, socket.asked.length]).toEqual([1, 1]);
    await passWithPong(bench, socket);
    const [first, second] = socket.requests('subscribe');
    expect(second).toEqual(first);
    socket.answer(CHANNEL, { epoch: 'e1', offset: 10 });
    await passWithPong(bench, socket);
    await passWithPong(bench, socket);
    expect(socket.asked, 'control: after an answer it is not').toHaveLength(2);
  });

  it('costs nothing when a slow node answers both times', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.accept();
    await bench.runtime.pass(TIMEOUT_MS);
    await passWithPong(bench, socket);
    for (const { id } of socket.requests('subscribe')) {
      const channels = [{ channel: CHANNEL, ref: 1, epoch: 'e1', offset: 10 }];
      socket.tell({ type: 'subscribed', id, channels, done: true });
    }
    for (const offset of [11, 12]) socket.publish(CHANNEL, offset);
    await bench.runtime.pass(2_000);
    expect(short(items.items)).toEqual([11, 12]);
    expect(bench.client.channel(CHANNEL).state.name).toBe('live');
    expect(bench.events.gap).toEqual([]);
    expect(socket.asked).toHaveLength(2);
  });

  it('leaves nothing on a node that rejects the first of two and accepts the second', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept();
    await bench.runtime.pass(TIMEOUT_MS);
    await passWithPong(bench, socket);
    const { id } = socket.requests('subscribe')[1]!;
    socket.reject(CHANNEL, 'forbidden');
    await settle();
    expect(socket.requests('unsubscribe'), 'control: it has nothing yet').toEqual([]);
    const channels = [{ channel: CHANNEL, ref: 1, epoch: 'e1', offset: 10 }];
    socket.tell({ type: 'subscribed', id, channels, done: true });
    expect(socket.requests('unsubscribe')).toEqual([{ type: 'unsubscribe', channels: [CHANNEL] }]);
  });

  it('ends nothing twice when it was an unsubscribe and the channel is wanted again', async () => {
    const bench = new Bench();
    bench.client.channel('b').subscribe(() => {});
    const subscription = bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept();
    const channels = ['b', CHANNEL].map((channel) => ({
      channel,
      ref: 1,
      epoch: 'e1',
      offset: 10,
    }));
    socket.tell({ type: 'subscribed', id: socket.sent[0]!.id, channels, done: true });
    subscription.unsubscribe();
    await bench.runtime.pass(2_500 + TIMEOUT_MS);
    await passWithPong(bench, socket);
    const [first, second] = socket.requests('unsubscribe');
    bench.client.channel(CHANNEL).subscribe(() => {});
    socket.tell({ type: 'unsubscribed', id: first!.id, channels: [CHANNEL] });
    await settle();
    expect(socket.asked, 'asked for again').toHaveLength(3);
    socket.tell({ type: 'unsubscribed', id: second!.id, channels: [CHANNEL] });
    await settle();
    expect(socket.asked, 'and once').toHaveLength(3);
    socket.answer(CHANNEL, { epoch: 'e1', offset: 11 });
    expect(bench.client.channel(CHANNEL).state.name).toBe('live');
  });

  it('does not undo what was asked for since', async () => {
    const bench = new Bench();
    const latest = { latest: { everyMs: 250 } } as const;
    bench.client.channel(CHANNEL, latest).subscribe(() => {});
    const socket = await bench.accept();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 10, ...latest });
    const all = bench.client.channel(CHANNEL).subscribe(() => {});
    await bench.runtime.pass(1);
    all.unsubscribe();
    await bench.runtime.pass(TIMEOUT_MS);
    await passWithPong(bench, socket);
    const toLatest = { channel: CHANNEL, since: { epoch: 'e1', offset: 10 }, ...latest };
    expect(socket.asked.slice(2), 'of two changes the later one').toEqual([toLatest, toLatest]);
  });
});

/** The node answers the last `ping`, and the time of a request passes. */
async function passWithPong(bench: Bench, socket: FakeSocket): Promise<void> {
  const { id } = socket.requests('ping').at(-1)!;
  socket.tell({ type: 'pong', id, serverTime: bench.runtime.now() });
  await bench.runtime.pass(TIMEOUT_MS);
}
