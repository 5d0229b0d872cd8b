import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LatencyHistogram } from '@tradewind/dev';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { bringOpenssl, startTlsTerminator } from '../../../test/support/faults/tls-terminator.ts';
import { eventually } from '../../../test/support/suite/wait.ts';
import { nowMicros } from '../processes/clock.ts';
import { type Load, startLoad } from './load.ts';
import type { LoadPlan } from './load-plan.ts';

const CHANNELS = ['a', 'b', 'c', 'd'];

let server: WebSocketServer;
let plan: LoadPlan;
const subscribers = new Map<WebSocket, readonly string[]>();

beforeEach(async () => {
  subscribers.clear();
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (client) => {
    client.on('message', (data) => {
      subscribers.set(client, JSON.parse(String(data)).channels);
      client.send('OK');
    });
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  plan = {
    urls: [`ws://127.0.0.1:${port}/`],
    dialect: { kind: 'plain', subscribe: '{"channels":$CHANNELS}', acknowledgement: 'OK' },
    connections: 40,
    rampPerSecond: 1_000,
    channels: CHANNELS,
    mode: 'random',
    channelsPerClient: 2,
    seed: 1,
    sampleEvery: 1,
    reading: { slow: 0, stalled: 0 },
    slowBytesPerSecond: 1_000,
    stallAfterMs: 0,
    connectionsPerProcess: 20,
    cores: [],
    polls: true,
  };
});

afterEach(() => {
  vi.unstubAllEnvs();
  for (const client of server.clients) client.terminate();
  server.close();
});

async function connected(changes: Partial<LoadPlan> = {}): Promise<Load> {
  const load = await startLoad({ ...plan, ...changes });
  await load.connect();
  return load;
}

/** Sends a publication on every channel to its subscribers; returns their number by channel. */
function publish(times: number, filler = ''): readonly number[] {
  for (const [client, channels] of subscribers) {
    for (let i = 0; i < times * channels.length; i += 1) {
      client.send(`{"data":{"t":${Math.floor(nowMicros())}},"p":"${filler}"}`);
    }
  }
  return CHANNELS.map(() => times);
}

describe('a load', () => {
  it('is spread over processes, subscribes as planned, and counts what each client receives', async () => {
    await using load = await connected();
    expect(load.pids).toHaveLength(2);
    expect(new Set([...subscribers.values()].map((channels) => channels.length))).toEqual(
      new Set([2]),
    );
    publish(3);
    await eventually(async () => (await load.sample()).publications === 40 * 6);
    await load.mark();

    const published = publish(5);
    await eventually(async () => (await load.verdict(published)).steady.exact === 40);
    expect((await load.verdict(published)).steady).toEqual({
      connections: 40,
      ended: 0,
      exact: 40,
      short: 0,
      over: 0,
      told: 0,
      untold: 0,
      undertold: 0,
      expected: 400,
      received: 400,
      missing: 0,
      disordered: 0,
    });
    expect(await load.verdict(CHANNELS.map(() => 4))).toMatchObject({ steady: { over: 40 } });
    expect(await load.verdict(CHANNELS.map(() => 6))).toMatchObject({ steady: { short: 40 } });

    const sample = await load.sample();
    expect(sample).toMatchObject({ attempted: 40, subscribed: 40, open: 40, failed: {} });
    expect(sample.effort).toHaveLength(2);
    const latency = new LatencyHistogram();
    for (const counts of sample.latencies) latency.add(counts);
    const percentiles = latency.percentiles()!;
    expect(percentiles.samples).toBe(400);
    expect(percentiles.max).toBeLessThan(5_000);
  });

  it('reports for each client that misses something what the server told it, and for nobody else', async () => {
    server.removeAllListeners('connection');
    server.on('connection', (client) => {
      client.on('message', (data) => {
        const { id, channels } = JSON.parse(String(data));
        subscribers.set(client, channels);
        client.send(JSON.stringify({ type: 'gap', channel: 'a', lost: 7 }));
        client.send(JSON.stringify({ type: 'subscribed', id, done: true }));
      });
    });
    await using load = await connected({ connections: 6, dialect: { kind: 'tradewind' } });
    await load.mark();
    const tell = [
      [],
      [],
      [{ lost: 3 }],
      [{ lost: 1 }, { lost: 2 }],
      [{ lost: 2 }],
      [{ lost: 2 }, {}],
    ];
    const everything = 1;
    for (const [i, client] of [...server.clients].entries()) {
      for (const gap of tell[i]!)
        client.send(JSON.stringify({ type: 'gap', channel: 'a', ...gap }));
      const due = i === everything ? 4 : 1;
      for (let sequence = 1; sequence <= due; sequence += 1)
        client.send(`{"seq":${sequence},"data":0}`);
    }
    await eventually(async () => (await load.sample()).publications === 5 + 4);
    expect((await load.verdict(CHANNELS.map(() => 2))).steady).toMatchObject({
      connections: 6,
      exact: 1,
      short: 5,
      told: 2,
      untold: 1,
      undertold: 1,
    });
  });

  it('reports how the server ended connections', async () => {
    await using load = await connected({ connections: 3 });
    const [first, second] = [...server.clients];
    first!.close(4008, 'slow');
    second!.terminate();
    await eventually(async () => (await load.sample()).open === 1);
    const { disconnected, subscribed } = await load.sample();
    expect(disconnected).toEqual({ 1006: 1, 4008: 1 });
    expect(subscribed).toBe(3);
    const { steady } = await load.verdict(CHANNELS.map(() => 0));
    expect(steady).toMatchObject({ connections: 1, ended: 2 });
  });

  it('reports why connections failed', async () => {
    const refusing = createServer((_request, response) => response.end());
    refusing.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 503 Full\r\n\r\n'));
    refusing.listen(0, '127.0.0.1');
    await once(refusing, 'listening');
    const { port } = refusing.address() as AddressInfo;
    const urls = [...plan.urls, `ws://127.0.0.1:${port}/`, 'ws://127.0.0.1:1/'];
    await using load = await connected({ urls, connections: 6 });
    const { failed, subscribed, attempted } = await load.sample();
    expect(failed).toEqual({ 'http 503': 2, ECONNREFUSED: 2 });
    expect({ subscribed, attempted }).toEqual({ subscribed: 2, attempted: 6 });
    refusing.close();
  });

  it('has clients that do not read, until they are released', async () => {
    await holdAndRelease({});
  });

  it('has clients that vanish, while the others stay', async () => {
    await using load = await connected({ connections: 8, reading: { slow: 0.25, stalled: 0.25 } });
    await load.dropWeak();
    await eventually(() => server.clients.size === 4);
    expect(await load.sample()).toMatchObject({ open: 4, disconnected: {}, weakDisconnected: {} });
    const published = publish(3);
    await eventually(async () => (await load.verdict(published)).steady.exact === 4);
  });

  it('answers pings and closes its connections with 1000', async () => {
    const load = await connected({ connections: 2 });
    const [client] = [...server.clients];
    client!.ping('you?');
    expect(String((await once(client!, 'pong'))[0])).toBe('you?');
    const closed = once(client!, 'close');
    await load.stop();
    expect((await closed)[0]).toBe(1000);
    await expect(load.sample()).rejects.toThrow('ended');
  });
});

/** A quarter of the clients read slowly and a quarter not at all, until they are released. */
async function holdAndRelease(changes: Partial<LoadPlan>): Promise<void> {
  const reading = { slow: 0.25, stalled: 0.25 };
  await using load = await connected({ ...changes, connections: 8, reading });
  const published = publish(200, 'x'.repeat(20_000));
  await eventually(async () => (await load.verdict(published)).steady.exact === 4);
  const held = await load.verdict(published);
  expect(held.stalled).toMatchObject({ connections: 2, exact: 0, received: 0 });
  expect(held.slow).toMatchObject({ connections: 2, exact: 0 });
  await load.release();
  await eventually(async () => {
    const { slow, stalled } = await load.verdict(published);
    return slow.exact === 2 && stalled.exact === 2;
  });
}

describe.runIf(await bringOpenssl())('a load over TLS', () => {
  /** Starts a terminator in front of the server with a trusted certificate; returns its URL by name or address. */
  async function secured(host: string) {
    const terminator = await startTlsTerminator((server.address() as AddressInfo).port);
    vi.stubEnv('NODE_EXTRA_CA_CERTS', terminator.certificateFile);
    return { terminator, urls: [`wss://${host}:${terminator.port}/`] };
  }

  it.each([
    ['localhost', 'localhost'],
    ['127.0.0.1', false],
  ])('to %s tells the server name %s, and counts what each client receives', async (host, name) => {
    const { terminator, urls } = await secured(host);
    await using _ = terminator;
    await using load = await connected({ urls });
    const published = publish(5);
    await eventually(async () => (await load.verdict(published)).steady.exact === 40);
    expect(await load.sample()).toMatchObject({ subscribed: 40, open: 40, failed: {} });
    expect(new Set(terminator.serverNames)).toEqual(new Set([name]));
  });

  it('reports the code of a certificate that was refused, and keeps other failures apart', async () => {
    const { terminator, urls } = await secured('127.0.0.1');
    await using _ = terminator;
    vi.stubEnv('NODE_EXTRA_CA_CERTS', undefined);
    const plain = (server.address() as AddressInfo).port;
    const others = [`wss://127.0.0.1:${plain}/`, 'wss://127.0.0.1:1/'];
    await using load = await connected({ urls: [...urls, ...others], connections: 6 });
    expect(await load.sample()).toMatchObject({
      subscribed: 0,
      failed: { DEPTH_ZERO_SELF_SIGNED_CERT: 2, ERR_SSL_WRONG_VERSION_NUMBER: 2, ECONNREFUSED: 2 },
    });
  });

  it('has clients that do not read, until they are released', async () => {
    const { terminator, urls } = await secured('127.0.0.1');
    await using _ = terminator;
    await holdAndRelease({ urls });
  });

  it('has slow clients that read no faster than they should, however much TLS hands over at once', async () => {
    const { terminator, urls } = await secured('127.0.0.1');
    await using _ = terminator;
    const slow = { reading: { slow: 0.5, stalled: 0 }, slowBytesPerSecond: 1_000_000 };
    await using load = await connected({ urls, connections: 2, ...slow });
    const startedAt = performance.now();
    const published = publish(100, 'x'.repeat(10_000));
    await eventually(async () => (await load.verdict(published)).slow.exact === 1);
    // 2 MB; the test does not wait for the pause after the last step of at most 64 KiB.
    expect(performance.now() - startedAt).toBeGreaterThan(1_800);
  });

  it('has clients that vanish, and closes the others with 1000', async () => {
    const { terminator, urls } = await secured('127.0.0.1');
    await using _ = terminator;
    const load = await connected({ urls, connections: 2, reading: { slow: 0, stalled: 0.5 } });
    await load.dropWeak();
    await eventually(() => server.clients.size === 1);
    const [client] = [...server.clients];
    const closed = once(client!, 'close');
    await load.stop();
    expect((await closed)[0]).toBe(1000);
  });
});
