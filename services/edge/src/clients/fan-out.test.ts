import { describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { FlushRound } from '../outbound/flush-round.ts';
import { availableMode } from '../outbound/socket-send.ts';
import { TIMEOUT_MS, until } from './testing/deadline.ts';
import { publicationOf } from './testing/fake-upstream.ts';
import { FanOutServer } from './testing/fan-out-server.ts';
import { FanOutUnderTest } from './testing/fan-out-under-test.ts';
import type { Message } from './testing/raw-client.ts';

describe('FanOut', { timeout: TIMEOUT_MS }, () => {
  it('welcomes each client with a session of its own and what the node allows', async () => {
    await using server = await FanOutServer.start({ nodeConnections: () => 40_000 });
    const clients = [await server.client(), await server.client()];
    await until(() => clients.every(({ messages }) => messages.length > 0), 'both welcomes');
    const welcomes = clients.map(({ messages }) => messages[0] as Message);
    for (const welcome of welcomes) {
      expect(welcome).toMatchObject({
        type: 'welcome',
        node: 'edge-under-test',
        protocol: 'tradewind.v1.json',
        auth: 'none',
        limits: { maxChannelsPerRequest: 128 },
        reconnect: { spreadMs: 5_000 },
      });
      expect(Math.abs(Date.now() - Number(welcome.serverTime))).toBeLessThan(60_000);
    }
    expect(welcomes[0]?.session).not.toBe(welcomes[1]?.session);
  });

  it.each([
    [availableMode('send', () => undefined), 'past the stream where there is a send'],
    ['stream', 'through the stream'],
  ] as const)('writes frames as it is set to, by %s: %s', async (writes, _where) => {
    await using server = await FanOutServer.start({ writes });
    const client = await server.client(['a']);
    const [socket] = server.sockets;
    const before = socket?.bytesWritten as number;
    for (let i = 0; i < 10; i += 1) server.upstream.publish('a', 'x'.repeat(1_000));
    await until(() => client.publications.length === 10, 'all of them');
    const throughStream = (socket?.bytesWritten as number) - before;
    expect(throughStream > 10_000).toBe(writes === 'stream');
    expect(throughStream === 0).toBe(writes !== 'stream');
  });

  it('tells the flush round how many bytes came in, and whether a client waits for them', async () => {
    const mark = vi.spyOn(FlushRound.prototype, 'mark');
    try {
      await using server = await FanOutServer.start();
      const client = await server.client(['a']);
      server.upstream.publish('a', 'x'.repeat(1_000));
      // The index is empty while all clients of the channel wait for its past.
      server.upstream.listener.onPublication(publicationOf('b', 'x'.repeat(1_000)));
      await until(() => client.publications.length === 1, 'the publication');
      const told = mark.mock.calls.map(([, bytes, isQueued]) => [bytes > 1_000, isQueued]);
      expect(told).toEqual([
        [true, true],
        [true, false],
      ]);
    } finally {
      mark.mockRestore();
    }
  });

  it('returns the memory of clients that stalled and left within seconds', () => {
    vi.useFakeTimers();
    try {
      using server = new FanOutUnderTest();
      const clients = [server.subscriber('a', 'e', 0), server.subscriber('a', 'e', 0)];
      for (const client of clients) client.stall();
      const publish = (): void => server.upstream.publish('a', 'x'.repeat(100));
      for (let i = 0; i < 2_000; i += 1) publish();
      const { logBytes } = server.fanOut;
      expect(logBytes).toBeGreaterThan(100_000);
      vi.advanceTimersByTime(5_000);
      expect(server.fanOut.queueEntryBytes).toBeGreaterThan(0);
      expect(server.fanOut.logBytes).toBe(logBytes);
      for (const client of clients) client.end();
      vi.advanceTimersByTime(3_000);
      expect(server.fanOut.queueEntryBytes).toBe(0);
      expect(server.fanOut.logBytes).toBeLessThan(1_000);
    } finally {
      vi.useRealTimers();
    }
  });

  it('confirms a subscription only after upstream has acknowledged it', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client();
    client.request({ type: 'subscribe', id: 1, channels: ['a'] });
    client.request({ type: 'ping', id: 2 });
    await until(() => client.controls('pong').length > 0, 'the answer to the later request');
    expect(server.upstream.calls).toEqual(['+a']);
    expect(client.controls('subscribed')).toEqual([]);
    server.upstream.acknowledge(['a']);
    await until(() => client.controls('subscribed').length > 0, 'the acknowledgement');
    expect(client.controls('subscribed')).toEqual([
      { type: 'subscribed', id: 1, channels: [{ channel: 'a', ref: 1 }], done: true },
    ]);
  });

  it('answers before the first publication, and sends none from before', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client();
    client.request({ type: 'subscribe', id: 1, channels: ['a'] });
    await until(() => server.upstream.wanted.has('a'), 'interest in a');
    server.upstream.publish('a', 'before');
    server.upstream.acknowledge(['a']);
    server.upstream.publish('a', 'after');
    await until(() => client.publications.length > 0, 'the publication');
    const answered = client.messages.findIndex(({ type }) => type === 'subscribed');
    expect(client.messages.slice(answered + 1)).toEqual([
      { seq: 1, channel: 'a', ts: expect.any(Number), data: 'after' },
    ]);
  });

  it('numbers the publications of each client separately, over all channels', async () => {
    await using server = await FanOutServer.start();
    const both = await server.client(['a', 'b']);
    const onlyB = await server.client(['b']);
    for (const channel of ['a', 'b', 'a', 'b', 'b']) server.upstream.publish(channel, channel);
    await until(() => both.publications.length === 5 && onlyB.publications.length === 3, 'all');
    expect(both.publications.map(({ seq, channel }) => `${seq}${channel}`)).toEqual([
      '1a',
      '2b',
      '3a',
      '4b',
      '5b',
    ]);
    expect(onlyB.publications.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it('sends nothing of a channel behind its `unsubscribed`', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a']);
    const other = await server.client(['a']);
    const publishing = setInterval(() => server.upstream.publish('a', 'x'), 1);
    await until(() => client.publications.length > 5, 'a flow');
    client.request({ type: 'unsubscribe', id: 9, channels: ['a'] });
    await until(() => client.controls('unsubscribed').length > 0, 'unsubscribed');
    const seen = other.publications.length;
    await until(() => other.publications.length > seen + 5, 'more publications for the other');
    clearInterval(publishing);
    expect(client.messages.at(-1)).toEqual({ type: 'unsubscribed', id: 9, channels: ['a'] });
  });

  it('loses nothing of 2,000 publications in one turn of the loop', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a', 'b']);
    for (let i = 1; i <= 2_000; i += 1) server.upstream.publish(i % 2 ? 'a' : 'b', i);
    await until(() => client.publications.length >= 2_000, 'all of the burst');
    expect(client.publications.map(({ seq, data }) => [seq, data])).toEqual(
      Array.from({ length: 2_000 }, (_, i) => [i + 1, i + 1]),
    );
    expect(client.controls('gap')).toEqual([]);
    expect(server.fanOut.statistics).toMatchObject({
      broadcastIterations: 2_000,
      deliveries: 2_000,
      refusals: 0,
    });
  });

  it('speaks with ws in both directions', async () => {
    await using server = await FanOutServer.start();
    const client = new WebSocket(server.url, 'tradewind.v1.json');
    const texts: string[] = [];
    client.on('message', (data) => texts.push(String(data)));
    await until(() => texts.length === 1, 'the welcome');
    expect(client).toMatchObject({ protocol: 'tradewind.v1.json', extensions: '' });
    client.send(JSON.stringify({ type: 'subscribe', id: 's', channels: ['a'] }));
    await until(() => server.upstream.wanted.has('a'), 'interest in a');
    server.upstream.acknowledge();
    server.upstream.publish('a', { price: '64123.5' });
    client.ping();
    await until(() => texts.length === 3, 'the publication');
    expect(JSON.parse(texts[2] as string)).toMatchObject({ seq: 1, data: { price: '64123.5' } });
    client.terminate();
  });

  it('tells all clients, later ones too, that the node is cut off and that it is back', async () => {
    await using server = await FanOutServer.start();
    const early = await server.client(['a']);
    server.upstream.listener.onDegraded(1_234);
    const late = await server.client();
    await until(() => late.controls('degraded').length > 0, 'the news for the later client');
    server.upstream.gap({ channel: 'a', reason: 'link' });
    server.upstream.listener.onRestored();
    server.upstream.publish('a', 'after');
    await until(() => early.publications.length > 0, 'the publication');
    await until(() => late.controls('restored').length > 0, 'restored');
    expect(early.messages.slice(-4)).toEqual([
      { type: 'degraded', since: 1_234 },
      { type: 'gap', channel: 'a', reason: 'link' },
      { type: 'restored' },
      { seq: 1, channel: 'a', ts: expect.any(Number), data: 'after' },
    ]);
    expect(late.messages.slice(1)).toEqual([
      { type: 'degraded', since: 1_234 },
      { type: 'restored' },
    ]);
  });

  it('rejects a channel that is cut off, although another client holds it, until it is back', () => {
    using tier = new FanOutUnderTest();
    const { listener } = tier.upstream;
    const holder = tier.subscriber('a', 'E', 1);
    tier.subscriber('b', 'E', 1);
    listener.onDegraded(1_234, ['a']);
    const late = tier.client();
    late.request({ type: 'subscribe', channels: ['a', 'b'] });
    expect(late.controls('subscribed')).toMatchObject([
      { channels: [{ channel: 'b' }], rejected: [{ channel: 'a', code: 'unavailable' }] },
    ]);
    expect(holder.controls('degraded')).toEqual([
      { type: 'degraded', since: 1_234, channels: ['a'] },
    ]);
    listener.onRestored();
    late.request({ type: 'subscribe', channels: ['a'] });
    expect(late.answers().map(({ channel }) => channel)).toEqual(['b', 'a']);
  });

  it('counts the bytes that clients receive', async () => {
    await using server = await FanOutServer.start();
    const before = server.fanOut.bytesOut;
    const client = await server.client(['a']);
    server.upstream.publish('a', 'x'.repeat(300));
    await until(() => client.publications.length > 0, 'the publication');
    const received = client.frames.reduce(
      (sum, { payload }) => sum + payload.length + (payload.length < 126 ? 2 : 4),
      0,
    );
    expect(server.fanOut.bytesOut - before).toBe(received);
  });

  it('closes a client that has asked for no channel in time', async () => {
    await using server = await FanOutServer.start({ silentSeconds: 1 });
    const silent = await server.client();
    const subscriber = await server.client(['a']);
    await until(() => silent.closeCode !== undefined, 'the close frame');
    expect(silent.closeCode).toBe(4001);
    silent.sendClose(4001);
    await until(() => server.events.closed.length > 0, 'the end');
    expect(server.events.closed).toEqual(['silent']);
    expect(subscriber.closeCode).toBeUndefined();
  });
});
