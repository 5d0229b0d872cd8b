import type { Socket } from 'node:net';
import { CONTROL, type Publication } from '@tradewind/fanout';
import { encodeServerMessage, payloadIn } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { JSON_FRAMES } from '../outbound/json-frames.ts';
import { FakeSink } from '../outbound/testing/fake-sink.ts';
import { type FrameMemory, oncePerFormat, type WireFormat } from '../outbound/wire-format.ts';
import { until } from './testing/deadline.ts';
import { FanOutServer } from './testing/fan-out-server.ts';
import { FanOutUnderTest } from './testing/fan-out-under-test.ts';
import { FakeWebSocket, LIMITS } from './testing/test-connection.ts';

const BINARY_FRAME = 0x82;
const NUMBER_BYTES = 4;

const payloadOnce = onceEach(({ body, channel, offset, publishedAt }) =>
  payloadIn(body, channel, offset || undefined, publishedAt),
);

/** A format for this test: binary frames of a 32-bit number and a payload; the number of a control message is 0. */
const NUMBERED: WireFormat = {
  subprotocol: 'numbered.test',
  isBinary: false,
  overheadBytes: 4 + NUMBER_BYTES,
  encodeControl: encodeServerMessage,
  bodyOf: (publication, skipped = 0) => {
    const payload = payloadOnce(publication);
    return skipped === 0 ? payload : Buffer.concat([Buffer.from(`skipped ${skipped}, `), payload]);
  },
  encodeFrame({ bytes, view }: FrameMemory, start: number, sequence: number, content: Uint8Array) {
    view.setUint8(start, BINARY_FRAME);
    const length = NUMBER_BYTES + content.length;
    let at = start + 2;
    if (length < 126) view.setUint8(start + 1, length);
    else {
      view.setUint8(start + 1, 126);
      view.setUint16(start + 2, length);
      at = start + 4;
    }
    view.setUint32(at, sequence);
    bytes.set(content, at + NUMBER_BYTES);
    return at + length;
  },
  renumber: ({ view }, contentStart, sequence) =>
    view.setUint32(contentStart - NUMBER_BYTES, sequence),
  sequencesOfWidth: () => ({ from: 1, end: 2 ** 32 }),
};

const FORMATS = [JSON_FRAMES, NUMBERED] as const;

function onceEach(make: (publication: Publication) => Uint8Array): typeof make {
  const made = new WeakMap<Uint8Array, Uint8Array>();
  return (publication) => {
    const body = made.get(publication.body) ?? make(publication);
    made.set(publication.body, body);
    return body;
  };
}

/** A client on a fake socket, and what it was sent: `n: payload` for a publication, the type of a control message. */
function open({ fanOut }: FanOutUnderTest, format: WireFormat) {
  const webSocket = new FakeWebSocket();
  const sink = new FakeSink();
  const connection = fanOut.open(webSocket as unknown as WebSocket, sink as unknown as Socket, {
    format,
  });
  const request = (message: object): void =>
    fanOut.onMessage(connection, Buffer.from(JSON.stringify(message)), false);
  return {
    connection,
    sink,
    request,
    received(): string[] {
      while (connection.outbox.size > 0 && !connection.outbox.blocked) connection.flush();
      return sink.frames.map(({ opcode, payload }) => textOf(opcode, payload));
    },
  };
}

function textOf(opcode: number, payload: Buffer): string {
  const isNumbered = opcode === (BINARY_FRAME & 0x0f);
  const sequence = isNumbered ? payload.readUInt32BE() : CONTROL;
  if (sequence !== CONTROL) return `${sequence}: ${payload.subarray(NUMBER_BYTES)}`;
  const json = JSON.parse(payload.subarray(isNumbered ? NUMBER_BYTES : 0).toString());
  return json.type ?? `${json.seq}: ${JSON.stringify(json.data)}`;
}

describe('two formats on one node', () => {
  it('are chosen in the handshake, in the order of the client’s preference', async () => {
    await using server = await FanOutServer.start({ formats: FORMATS });
    const chosen = async (...offered: string[]): Promise<string> => {
      const client = new WebSocket(server.url, offered);
      const frames: string[] = [];
      client.on('message', (data, isBinary) =>
        frames.push(String(isBinary ? (data as Buffer).subarray(NUMBER_BYTES) : data)),
      );
      await until(() => frames.length > 0, 'welcome');
      const { protocol } = JSON.parse(frames[0] as string) as { protocol: string };
      expect(client.protocol).toBe(offered.length === 0 ? '' : protocol);
      client.terminate();
      return protocol;
    };
    expect(await chosen(NUMBERED.subprotocol)).toBe(NUMBERED.subprotocol);
    expect(await chosen(JSON_FRAMES.subprotocol)).toBe(JSON_FRAMES.subprotocol);
    expect(await chosen('other', NUMBERED.subprotocol, JSON_FRAMES.subprotocol)).toBe(
      NUMBERED.subprotocol,
    );
    expect(await chosen(), 'nothing was asked for').toBe(JSON_FRAMES.subprotocol);
  });

  it('carry the same publications, notices and state to their clients', async () => {
    using server = new FanOutUnderTest({ formats: FORMATS });
    const clients = [...FORMATS, ...FORMATS].map((format) => open(server, format));
    for (const [i, client] of clients.entries()) {
      client.request({ type: 'subscribe', channels: ['a'] });
      server.upstream.acknowledge();
      // Its numbers differ from those of the client before it.
      for (let n = 0; n <= 9 * i; n += 1) server.upstream.publish('a', n);
      client.received();
    }
    const before = clients.map((client) => client.received().length);
    const { listener } = server.upstream;
    server.upstream.publish('a', { price: '1.10' });
    listener.onGap({ channel: 'a', reason: 'link' });
    listener.onResync({ channel: 'a', epoch: 'next', offset: 0 });
    const told = () => clients.map((client, i) => client.received().slice(before[i]));
    const allAreTold = (state: string) => () => told().every((texts) => texts.includes(state));
    // Each turn tells some clients: on a busy core not all in the first one.
    listener.onDegraded(1);
    await until(allAreTold('degraded'), 'degraded');
    listener.onRestored();
    await until(allAreTold('restored'), 'restored');
    const lastNumbers = [1 + 10 + 19 + 28, 10 + 19 + 28, 19 + 28, 28];
    expect(told()).toEqual(
      lastNumbers.map((last) => [
        `${last + 1}: {"price":"1.10"}`,
        'gap',
        'resync',
        'degraded',
        'restored',
      ]),
    );
  });

  it('have the latest of one channel in one interval, each in its own words', async () => {
    using server = new FanOutUnderTest({ formats: FORMATS });
    const clients = FORMATS.map((format) => open(server, format));
    const latest = { everyMs: 100 };
    for (const { request } of clients) {
      request({ type: 'subscribe', channels: [{ channel: 'a', latest }] });
    }
    server.upstream.acknowledge();
    for (const n of [1, 2, 3, 4]) server.upstream.publish('a', n);
    const [json, numbered] = clients.map((client) => () => client.received().slice(2));
    await until(() => json?.().length === 2 && numbered?.().length === 2, 'the end of the window');
    expect(json?.()).toEqual(['1: 1', '2: 4']);
    expect(numbered?.()).toEqual(['1: 1', '2: skipped 2, 4']);
    expect(clients[0]?.sink.frames.at(-1)?.payload.toString()).toContain('"skipped":2,"data":4}');
  });

  it('catch up from the one log', () => {
    using server = new FanOutUnderTest({ formats: FORMATS, outbox: { ...LIMITS, slots: 8 } });
    const clients = FORMATS.map((format) => open(server, format));
    for (const { request } of clients) request({ type: 'subscribe', channels: ['a'] });
    server.upstream.acknowledge();
    for (const { received, sink } of clients) {
      received();
      sink.stalled = true;
    }
    for (let n = 1; n <= 40; n += 1) {
      server.upstream.publish('a', n);
      for (const { connection } of clients) connection.flush();
    }
    for (const { connection } of clients) expect(connection.outbox.isBehind).toBe(true);
    for (const { connection, sink, received } of clients) {
      sink.drain();
      while (connection.outbox.isBehind) connection.flush();
      const publications = received().filter((text) => text.includes(':'));
      expect(publications).toEqual(Array.from({ length: 40 }, (_, i) => `${i + 1}: ${i + 1}`));
    }
  });
});

it('encodes a shared frame once for each format', () => {
  let made = 0;
  const shared = oncePerFormat(({ subprotocol }) => {
    made += 1;
    return subprotocol;
  });
  expect([shared(NUMBERED), shared(JSON_FRAMES), shared(NUMBERED)]).toEqual([
    NUMBERED.subprotocol,
    JSON_FRAMES.subprotocol,
    NUMBERED.subprotocol,
  ]);
  expect(made).toBe(2);
});
