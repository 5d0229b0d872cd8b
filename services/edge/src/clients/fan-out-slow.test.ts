import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Connection } from './connection/connection.ts';
import { TIMEOUT_MS, until } from './testing/deadline.ts';
import { FanOutServer } from './testing/fan-out-server.ts';
import type { Message, RawClient } from './testing/raw-client.ts';

/**
 * Loopback takes in several MB for a client that does not read; with these, some hundred
 * publications fill it.
 */
const DATA = 'x'.repeat(20_000);

const SLOTS = 512;

/** Far more publications than it takes to fill the kernel's buffers and the queue. */
const PUBLICATIONS_AT_MOST = 20_000;

describe('FanOut with a client that stops reading', { timeout: TIMEOUT_MS }, () => {
  it('queues 512 publications for it and no more, and disconnects it as slow', async () => {
    const graceMs = 200;
    await using server = await FanOutServer.start({ slow: { graceMs, maxLagMs: 60_000 } });
    const reader = await server.client(['a']);
    const stalled = await server.client(['a']);
    const connection = lastConnection(server);
    stalled.pause();

    const refusedAt: { readonly before: number; readonly after: number }[] = [];
    let deepest = 0;
    let published = 0;
    while (connection.isOpen) {
      const before = performance.now();
      server.upstream.publish('a', DATA);
      published += 1;
      while (server.fanOut.statistics.refusals > refusedAt.length)
        refusedAt.push({ before, after: performance.now() });
      deepest = Math.max(deepest, connection.outbox.depth);
      // After the first refusals only time counts, and the reader is spared a flood.
      await (refusedAt.length > 10 ? sleep(2) : nextTurn());
      expect(published).toBeLessThan(PUBLICATIONS_AT_MOST);
    }
    const lastedMs = refusedAt.at(-1)!.after - refusedAt[0]!.before;
    expect(deepest).toBe(SLOTS);
    expect(refusedAt.length).toBeGreaterThanOrEqual(3);
    expect(lastedMs).toBeGreaterThanOrEqual(graceMs - 1);

    await until(() => server.events.closed.length > 0, 'the end of the stalled client');
    expect(server.events.closed).toEqual(['slow']);
    await until(() => reader.publications.length === published, 'everything for the reader');
    expect(reader.publications.map(({ seq }) => seq)).toEqual(numbersFrom(1, published));
    expect(reader.controls('gap')).toEqual([]);
  });

  it('drops its channels at once, before the socket is gone', async () => {
    await using server = await FanOutServer.start({ slow: { graceMs: 0, maxLagMs: 60_000 } });
    const stalled = await server.client(['a']);
    const connection = lastConnection(server);
    stalled.pause();
    for (let i = 0; connection.isOpen && i < PUBLICATIONS_AT_MOST; i += 1) {
      server.upstream.publish('a', DATA);
      await nextTurn();
    }
    expect(server.events.closed).toEqual([]);
    expect(server.upstream.calls).toEqual(['+a', '-a']);
  });

  it('tells one exact gap per channel when it reads again in time', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a', 'b', 'c']);
    client.pause();
    const published: string[] = [];
    while (server.fanOut.statistics.refusals < 100) {
      const channel = ['a', 'b', 'a'][published.length % 3] as string;
      server.upstream.publish(channel, DATA);
      published.push(channel);
      await nextTurn();
      expect(published.length).toBeLessThan(PUBLICATIONS_AT_MOST);
    }
    client.resume();
    await until(() => client.controls('gap').length > 0, 'the gaps');
    for (const channel of ['c', 'b', 'a', 'b']) {
      server.upstream.publish(channel, 'afterwards');
      published.push(channel);
    }
    await until(() => last(client).seq === published.length, 'the last publication');

    const received = new Set(client.publications.map(({ seq }) => seq as number));
    const lost = published.filter((_, i) => !received.has(i + 1));
    expect(client.controls('gap')).toEqual(
      ['a', 'b']
        .map((channel) => ({
          type: 'gap',
          channel,
          lost: lost.filter((of) => of === channel).length,
          reason: 'slow',
        }))
        .sort((one, other) => order(client, one.channel) - order(client, other.channel)),
    );
    expect(lost).toHaveLength(100);
    expectGapBetween(client, published.length - 4);
  });

  it('tells no gap of a channel that the client has left meanwhile', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a', 'b']);
    client.pause();
    for (let i = 0; server.fanOut.statistics.refusals < 20; i += 1) {
      server.upstream.publish(i % 2 ? 'a' : 'b', DATA);
      await nextTurn();
      expect(i).toBeLessThan(PUBLICATIONS_AT_MOST);
    }
    client.request({ type: 'unsubscribe', id: 'leave a', channels: ['a'] });
    await until(() => server.fanOut.index.count('a') === 0, 'the unsubscribe');
    client.resume();
    await until(() => client.controls('gap').length > 0, 'the gap');
    server.upstream.publish('b', 'afterwards');
    await until(() => last(client).data === 'afterwards', 'what came afterwards');
    expect(client.controls('gap')).toMatchObject([{ channel: 'b', lost: 10 }]);
  });

  it('disconnects no client for a burst that ends within the grace', async () => {
    await using server = await FanOutServer.start({ slow: { graceMs: 5_000, maxLagMs: 60_000 } });
    const client = await server.client(['a']);
    client.pause();
    let published = 0;
    while (server.fanOut.statistics.refusals < 50) {
      server.upstream.publish('a', DATA);
      published += 1;
      if (published % 50 === 0) await nextTurn();
      expect(published).toBeLessThan(PUBLICATIONS_AT_MOST);
    }
    client.resume();
    await until(() => client.controls('gap').length > 0, 'the gap');
    server.upstream.publish('a', 'afterwards');
    await until(() => last(client).data === 'afterwards', 'what came afterwards');
    expect(client.closeCode).toBeUndefined();
    expect(server.events.closed).toEqual([]);
  });

  it('disconnects it for its lag alone, although nothing more is published', async () => {
    await using server = await FanOutServer.start({ slow: { graceMs: 60_000, maxLagMs: 1_000 } });
    const client = await server.client(['a']);
    const connection = lastConnection(server);
    client.pause();
    while (connection.outbox.depth < 5) {
      server.upstream.publish('a', DATA);
      await nextTurn();
    }
    await until(() => !connection.isOpen, 'the decision');
    client.resume();
    await until(() => client.closeCode !== undefined, 'the close frame');
    client.sendClose(4008);
    await until(() => server.events.closed.length > 0, 'the end');
    expect(client.closeCode).toBe(4008);
    expect(server.events.closed).toEqual(['slow']);
    expect(server.fanOut.statistics.refusals).toBe(0);
  });

  it('reports the lag of publications that sockets took, not of those that a stalled client left', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a']);
    const connection = lastConnection(server);
    client.pause();
    while (connection.outbox.depth < 5) {
      server.upstream.publish('a', DATA);
      await nextTurn();
    }
    const STALLED_MS = 1_000;
    const stalledAt = performance.now();
    const sampled = server.events.lagsMs.length;
    server.upstream.publish('a', 'behind');
    await until(() => performance.now() - stalledAt > STALLED_MS, 'time to go by');
    const healthy = await server.client(['b']);
    server.upstream.publish('b', 'at once');
    await until(() => healthy.publications.length > 0, 'the publication');
    expect(server.events.lagsMs.length).toBeGreaterThan(sampled);
    expect(Math.max(...server.events.lagsMs.slice(sampled))).toBeLessThan(STALLED_MS);
  });
});

function lastConnection(server: FanOutServer): Connection {
  return [...server.fanOut.connections].at(-1) as Connection;
}

function last(client: RawClient): Message {
  return client.publications.at(-1) ?? {};
}

function numbersFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** The index of a channel's gap among the frames. */
function order(client: RawClient, channel: string): number {
  return client.controls('gap').findIndex((gap) => gap.channel === channel);
}

/** Expects each gap behind every publication before the loss, and before every later one. */
function expectGapBetween(client: RawClient, lastOfBefore: number): void {
  const { messages } = client;
  const first = messages.findIndex(({ type }) => type === 'gap');
  const behind = messages.slice(first).filter(({ type }) => type !== 'gap');
  expect(behind.map(({ seq }) => seq)).toEqual(numbersFrom(lastOfBefore + 1, 4));
  expect(messages.slice(0, first).some(({ seq }) => Number(seq) > lastOfBefore)).toBe(false);
}
