import { describe, expect, it } from 'vitest';
import { CLOSE, PING, PONG, TEXT } from '../outbound/testing/frame-decoder.ts';
import type { Connection } from './connection/connection.ts';
import { TIMEOUT_MS, until } from './testing/deadline.ts';
import { FanOutServer } from './testing/fan-out-server.ts';

const ROUNDS = 5;

describe('FanOut when connections end', { timeout: TIMEOUT_MS }, () => {
  it('writes no frame behind the close frame that it answers with, in the middle of a flow', async () => {
    await using server = await FanOutServer.start();
    const witness = await server.client(['a']);
    for (let round = 0; round < ROUNDS; round += 1) {
      const client = await server.client(['a']);
      const publishing = setInterval(() => burst(server), 0);
      await until(() => client.publications.length > 0, 'a flow');
      client.sendClose(1000);
      await until(() => client.ended, 'the end');
      clearInterval(publishing);
      const closedAt = client.frames.findIndex(({ opcode }) => opcode === CLOSE);
      expect(closedAt, 'the close was answered').toBeGreaterThan(0);
      expect(client.frames.slice(closedAt + 1)).toEqual([]);
    }
    const before = witness.publications.length;
    server.upstream.publish('a', 'still there');
    await until(() => witness.publications.length > before, 'a publication for the witness');
    await until(() => server.events.closed.length === ROUNDS, 'all of the ends');
    expect(new Set(server.events.closed)).toEqual(new Set(['normal']));
  });

  it('writes no frame behind the close frame that it answers a stalled client with', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a']);
    const [connection] = [...server.fanOut.connections] as [Connection];
    const witness = await server.client();
    client.pause();
    while (connection.outbox.depth < 100) {
      server.upstream.publish('a', 'x'.repeat(20_000));
      await new Promise(setImmediate);
    }
    client.sendClose(1000);
    // The answer waits behind the socket's bytes, and the outbox holds more.
    await witness.subscribe(['a']);
    const { lastSequence } = connection.outbox;
    client.resume();
    await until(() => client.ended, 'the end');
    expect(client.frames.at(-1)?.opcode).toBe(CLOSE);
    expect(client.publications.length).toBeLessThan(lastSequence);
  });

  it('closes a client that sends 600 WebSocket pings at once with a code, and does not cut it', async () => {
    const requestRate = { perSecond: 1, burst: 200 };
    await using server = await FanOutServer.start({ requestRate });
    const client = await server.client();
    // They are read in one piece, and each makes a pong before any is written.
    client.cork();
    for (let i = 0; i < 600; i += 1) client.send(PING, Buffer.alloc(0));
    client.uncork();
    await until(() => client.closeCode !== undefined || client.ended, 'the end');
    expect(client.closeCode).toBe(4029);
    expect(client.frames.filter(({ opcode }) => opcode === PONG)).toHaveLength(401);
    client.sendClose(4029);
    await until(() => server.events.closed.length === 1, 'the close');
    expect(server.events.closed).toEqual(['rate_limited']);
  });

  it('answers a close in the same turn as publications that are still queued', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a']);
    const [connection] = [...server.fanOut.connections] as [Connection];
    burst(server);
    connection.close('draining');
    burst(server);
    await until(() => client.closeCode !== undefined, 'the close frame');
    expect(client.frames.at(-1)?.opcode).toBe(CLOSE);
    expect(client.publications, 'close drops what waits').toEqual([]);
  });

  it('finishes with everything that is queued, then closes with 1012', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a']);
    const [connection] = [...server.fanOut.connections] as [Connection];
    client.pause();
    while (connection.outbox.depth < 100) {
      server.upstream.publish('a', 'x'.repeat(20_000));
      await new Promise(setImmediate);
    }
    const published = connection.outbox.lastSequence;
    connection.finish('draining');
    server.upstream.publish('a', 'too late');
    client.resume();
    await until(() => client.closeCode !== undefined, 'the close frame');
    expect(client.publications.map(({ seq }) => seq)).toEqual(
      Array.from({ length: published }, (_, i) => i + 1),
    );
    expect(client.closeCode).toBe(1012);
    expect(client.frames.at(-1)?.payload.toString('utf8', 2)).toBe('draining');
    client.sendClose(1012);
    await until(() => server.events.closed.length > 0, 'the end');
    expect(server.events.closed).toEqual(['draining']);
  });

  it('survives resets in mid-stream, and reports each client that opened as closed once', async () => {
    await using server = await FanOutServer.start();
    const witness = await server.client(['a']);
    const clients = await Promise.all(Array.from({ length: 30 }, () => server.client(['a', 'b'])));
    const publishing = setInterval(() => burst(server), 0);
    await until(() => clients.every(({ publications }) => publications.length > 0), 'a flow');
    clients.forEach((client, i) => {
      if (i % 3 === 0) client.reset();
      else if (i % 3 === 1) client.destroy();
      else client.sendClose(1001);
    });
    await until(() => server.events.closed.length === clients.length, 'all of the ends');
    const received = witness.publications.length;
    await until(() => witness.publications.length > received, 'the flow to go on');
    clearInterval(publishing);
    witness.reset();
    await until(() => server.fanOut.connections.size === 0, 'the last end');
    expect(server.events.closed).toHaveLength(server.events.opened);
    expect(server.fanOut.index.subscriptions).toBe(0);
    expect([...server.upstream.wanted]).toEqual([]);
  });

  it('keeps a half-closed peer only until everything is written', async () => {
    await using server = await FanOutServer.start();
    const client = await server.client(['a']);
    client.end();
    await until(() => server.events.closed.length > 0, 'the end');
    expect(server.events.closed).toEqual(['connection_lost']);
    expect([...server.upstream.wanted]).toEqual([]);
  });

  it('ends every connection when it stops', async () => {
    await using server = await FanOutServer.start();
    const clients = [await server.client(['a']), await server.client()];
    server.upstream.publish('a', 'queued');
    server.fanOut.stop();
    await until(() => clients.every(({ ended }) => ended), 'both ends');
    await until(() => server.events.closed.length === 2, 'both reports');
    expect(server.events.closed).toEqual(['draining', 'draining']);
    expect([...server.upstream.wanted]).toEqual([]);
  });

  it.each([
    ['a text that is not UTF-8', TEXT, Buffer.from([0xff]), 1007, 'invalid_text'],
    ['an opcode that does not exist', 3, Buffer.from('x'), 1002, 'protocol_error'],
    ['a message over the limit', TEXT, Buffer.alloc(40_000, 'x'), 1009, 'message_too_large'],
  ] as const)('closes after %s with its code', async (_what, opcode, payload, code, reason) => {
    await using server = await FanOutServer.start();
    const client = await server.client();
    client.send(opcode, payload);
    await until(() => server.events.closed.length > 0, 'the end');
    expect(server.events.closed).toEqual([reason]);
    expect(client.closeCode).toBe(code);
  });
});

function burst(server: FanOutServer): void {
  for (let i = 0; i < 50; i += 1) {
    if (server.upstream.wanted.has('a')) server.upstream.publish('a', i);
  }
}
