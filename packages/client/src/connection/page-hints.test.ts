import { describe, expect, it } from 'vitest';
import { settle } from '../testing/fake-runtime.ts';
import { Bench } from '../testing/fake-socket.ts';
import { short } from '../testing/short-items.ts';

const CHANNEL = 'BTC.trade';

describe('a page', () => {
  it('probes when it becomes visible, and does not believe `offline` alone', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    bench.runtime.page.fire('offline');
    expect(socket.requests('ping')).toHaveLength(1);
    socket.tell({ type: 'pong', id: 1, serverTime: bench.runtime.now() });
    await bench.runtime.pass(3_000);
    expect(bench.client.state.name).toBe('online');
    bench.runtime.page.fire('focus');
    expect(socket.requests('ping')).toHaveLength(2);
  });

  it('pauses when the probe after `offline` fails, and connects at `online`', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    await bench.live(CHANNEL);
    bench.runtime.page.fire('offline');
    await bench.runtime.pass(3_000);
    expect(bench.client.state).toEqual({ name: 'paused', why: 'offline' });
    await bench.runtime.pass(600_000);
    expect(bench.sockets).toHaveLength(1);
    bench.runtime.page.fire('online');
    expect(bench.client.state.name).toBe('connecting');
    await settle();
    expect(bench.sockets).toHaveLength(2);
  });

  it.each(['resume', 'pageshow', 'focus', 'visibilitychange'])('thaws at %s', async (type) => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    (await bench.live(CHANNEL)).publish(CHANNEL, 11);
    bench.runtime.page.fire('freeze');
    expect(bench.client.state).toEqual({ name: 'paused', why: 'frozen' });
    await bench.runtime.sleep(90_000);
    bench.runtime.page.fire(type);
    const socket = await bench.accept();
    socket.answer(CHANNEL, { epoch: 'e1', offset: 5_011, recovered: false, replayed: 0 });
    await settle();
    expect(short(items.items)).toEqual([11, 'gap 12-5011 away']);
  });

  it('that was paused by the application is not resumed by an event', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    await bench.live(CHANNEL);
    bench.client.pause();
    for (const type of ['online', 'focus', 'visibilitychange', 'resume'])
      bench.runtime.page.fire(type);
    expect(bench.client.state).toEqual({ name: 'paused', why: 'asked' });
    bench.client.resume();
    expect(bench.client.state.name).toBe('connecting');
  });

  it('pauses after it was hidden for a while, if it should', async () => {
    const bench = new Bench({ hidden: 'pause' });
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    bench.runtime.page.hidden = true;
    bench.runtime.page.fire('visibilitychange');
    for (let passed = 0; passed < 60_000; passed += 10_000) {
      expect(bench.client.state.name).toBe('online');
      socket.publish(CHANNEL, undefined);
      await bench.runtime.pass(10_000);
    }
    expect(bench.client.state).toEqual({ name: 'paused', why: 'hidden' });
    bench.runtime.page.fire('online');
    expect(bench.client.state.name).toBe('paused');
    bench.runtime.page.hidden = false;
    bench.runtime.page.fire('visibilitychange');
    expect(bench.client.state.name).toBe('connecting');
  });

  it('saves what was used, and another one continues there', async () => {
    const kept = new Map<string, unknown>();
    const positions = {
      load: (channel: string) => kept.get(channel) as never,
      save: (changed: ReadonlyMap<string, unknown>) => {
        for (const [channel, position] of changed) kept.set(channel, position);
      },
    };
    const bench = new Bench({ positions });
    const items = bench.client.channel(CHANNEL).items();
    const socket = await bench.live(CHANNEL);
    for (const offset of [11, 12, 13]) socket.publish(CHANNEL, offset);
    await items.next();
    bench.runtime.page.fire('pagehide');
    expect(kept.get(CHANNEL)).toEqual({ epoch: 'e1', offset: 11 });

    const next = new Bench({ positions });
    const rest = next.collect(next.client.channel(CHANNEL).items());
    const second = await next.accept();
    expect(second.asked[0]!.since).toEqual({ epoch: 'e1', offset: 11 });
    second.answer(CHANNEL, {
      epoch: 'e2',
      offset: 3,
      recovered: false,
      replayed: 0,
      reason: 'epoch_changed',
    });
    second.publish(CHANNEL, 4);
    await next.runtime.pass(1_000);
    expect(short(rest.items)).toEqual(['resync epoch_changed', 4]);
    expect(kept.get(CHANNEL)).toEqual({ epoch: 'e2', offset: 4 });
  });
});
