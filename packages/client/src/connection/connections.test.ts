import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ClosedError, ConnectError } from '../errors.ts';
import { settle } from '../testing/fake-runtime.ts';
import { Bench } from '../testing/fake-socket.ts';

const CHANNEL = 'BTC.trade';

describe('coming back', () => {
  it('waits longer after each failure, and begins anew after a stable connection', async () => {
    const bench = new Bench();
    bench.runtime.chance = 1;
    bench.client.channel(CHANNEL).subscribe(() => {});
    for (const [attempt, ms] of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].entries()) {
      await settle();
      bench.socket.ends();
      expect(bench.client.state).toMatchObject({ name: 'waiting', attempt });
      expect((bench.client.state as { cause: unknown }).cause).toBeInstanceOf(ConnectError);
      await bench.runtime.pass(ms - 1);
      expect(bench.client.state.name).toBe('waiting');
      await bench.runtime.pass(1);
    }
    await bench.accept();
    await bench.runtime.pass(10_000);
    bench.socket.ends();
    expect(bench.client.state).toMatchObject({ name: 'waiting', attempt: 0 });
  });

  it('does not begin anew after a connection that lived shortly', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await bench.accept();
      await bench.runtime.pass(1_000);
      bench.socket.ends();
      expect(bench.client.state).toMatchObject({ name: 'waiting', attempt });
      while (bench.sockets.length === attempt + 1) await bench.runtime.pass(500);
    }
  });

  it('spreads as wide as the server says when a node is lost', async () => {
    const bench = new Bench();
    bench.runtime.chance = 1;
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.accept({ reconnect: { spreadMs: 5_000 } });
    const before = bench.runtime.now();
    socket.ends();
    expect(bench.client.state).toMatchObject({ name: 'waiting', retryAt: before + 5_000 });
  });

  it.each([
    [1012, 'waiting'],
    [4008, 'waiting'],
    [4350, 'waiting'],
    [4402, 'waiting'],
    [1009, 'closed'],
    [4450, 'closed'],
    [1000, 'closed'],
  ])('after the code %i is %s', async (code, name) => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    (await bench.live(CHANNEL)).ends(code);
    await settle();
    expect(bench.client.state.name).toBe(name);
    expect(items.isDone).toBe(name === 'closed');
    if (name === 'closed') expect(items.error).toMatchObject({ closeCode: code });
  });

  it('gives an attempt up after its time, and closes a socket that opens late', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    await settle();
    const [late] = bench.sockets;
    late!.answersClose = false;
    await bench.runtime.pass(15_000);
    expect(bench.client.state).toMatchObject({ name: 'waiting' });
    late!.closedWith = undefined;
    late!.opens();
    expect(late!.closedWith).toBe(1000);
    late!.tell({ type: 'welcome' });
    expect(bench.client.state.name).toBe('waiting');
  });

  it('connects once more after a frame that is no JSON, and then ends', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    (await bench.accept()).tellText('{');
    expect(bench.client.state.name).toBe('waiting');
    await bench.runtime.pass(1_000);
    (await bench.accept()).tellText('{');
    expect(bench.client.state).toMatchObject({ name: 'closed', error: { code: 'protocol_error' } });
  });

  it('takes a connection for dead that answers no ping', async () => {
    const bench = new Bench();
    bench.client.channel(CHANNEL).subscribe(() => {});
    const socket = await bench.live(CHANNEL);
    socket.answersClose = false;
    await bench.runtime.pass(20_000);
    expect(socket.requests('ping')).toHaveLength(1);
    socket.tell({ type: 'pong', id: 1, serverTime: bench.runtime.now() });
    await bench.runtime.pass(20_000);
    expect(socket.requests('ping')).toHaveLength(2);
    await bench.runtime.pass(9_999);
    expect(bench.client.state.name).toBe('online');
    await bench.runtime.pass(1);
    expect(bench.client.state).toMatchObject({ name: 'waiting', cause: { closeCode: 1006 } });
  });

  it('probes within a second of a wake-up instead of judging what was asked before', async () => {
    for (const wallOnly of [false, true]) {
      const bench = new Bench();
      bench.client.channel(CHANNEL).subscribe(() => {});
      const socket = await bench.live(CHANNEL);
      await bench.runtime.pass(500);
      await bench.runtime.sleep(120_000, wallOnly);
      await bench.runtime.pass(1_000);
      expect(socket.requests('ping')).toHaveLength(1);
      expect(bench.client.state.name).toBe('online');
      await bench.runtime.pass(3_000);
      expect(bench.events.state.map(({ state }) => state.name)).toContain('waiting');
    }
  });

  it('rejects and ends when its signal is aborted, whatever it waits for', async () => {
    for (const waitMs of [0, 15_000]) {
      const abort = new AbortController();
      const bench = new Bench({ signal: abort.signal });
      const ready = bench.client.ready();
      const items = bench.collect(bench.client.channel(CHANNEL).items());
      await bench.runtime.pass(waitMs);
      abort.abort('enough');
      await expect(ready).rejects.toBe('enough');
      await settle();
      expect(items.error).toBe('enough');
      expect(bench.client.state.name).toBe('closed');
      expect(bench.runtime.timers).toBe(0);
      expect(() => bench.client.channel(CHANNEL).items()).toThrow(ClosedError);
      const { signal } = abort;
      const late = bench.client.channel(CHANNEL).items({ signal });
      await expect(late.next(), 'its own signal says why').rejects.toBe('enough');
    }
  });

  it('keeps nothing of whoever asks for a channel when it is closed', async () => {
    const bench = new Bench();
    await bench.client.close();
    const channel = bench.client.channel(CHANNEL);
    const { signal } = new AbortController();
    expect(() => channel.subscribe(() => {}, { signal })).toThrow(ClosedError);
    expect(() => channel.messages({ signal })).toThrow(ClosedError);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('leaves no listener on signals when it is closed', async () => {
    const { signal } = new AbortController();
    const bench = new Bench({ signal });
    const channel = bench.client.channel(CHANNEL);
    channel.subscribe(() => {}, { signal });
    bench.collect(channel.messages({ signal }));
    expect(getEventListeners(signal, 'abort'), 'control: while it is open').toHaveLength(3);
    await bench.client.close();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('closes within a second of a server that does not answer', async () => {
    const bench = new Bench();
    const items = bench.collect(bench.client.channel(CHANNEL).items());
    const socket = await bench.live(CHANNEL);
    socket.answersClose = false;
    let isClosed = false;
    void bench.client.close().then(() => {
      isClosed = true;
    });
    await bench.runtime.pass(999);
    expect([isClosed, items.isDone, items.error]).toEqual([false, true, undefined]);
    await bench.runtime.pass(1);
    expect(isClosed).toBe(true);
    expect(bench.runtime.timers).toBe(0);
  });
});
