import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { CONTROL, Outbox, PublicationLog, SendQueues } from '@tradewind/fanout';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../clients/testing/deadline.ts';
import { LIMITS } from '../clients/testing/test-connection.ts';
import { acceptUpgrades } from '../node/upgrade.ts';
import { FrameWriter } from './frame-writer.ts';
import { JSON_FRAMES } from './json-frames.ts';
import { FakeSink } from './testing/fake-sink.ts';
import { FrameDecoder, TEXT } from './testing/frame-decoder.ts';
import { createFrameMemory } from './wire-format.ts';

/** Both sides of each change of the header's form. */
const PAYLOAD_LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536];

/** Both sides of each change of the number's length, and the largest number there is. */
const SEQUENCES = [
  ...Array.from({ length: 16 }, (_, digits) => 10 ** digits),
  ...Array.from({ length: 15 }, (_, digits) => 10 ** (digits + 1) - 1),
  Number.MAX_SAFE_INTEGER,
];

const PATIENT = { graceMs: 60_000, maxLagMs: 60_000 };
const WRITE_BYTES = 64 * 1024;
const SMALL_WRITE_BYTES = 16 * 1024;

describe('JSON_FRAMES.encodeFrame', () => {
  it.each(PAYLOAD_LENGTHS)('puts a control frame of %i bytes on the wire as it is', (length) => {
    const payload = Buffer.alloc(length, 'x');
    expect(decoded(encode(CONTROL, payload))).toEqual([{ opcode: TEXT, payload }]);
  });

  it.each(PAYLOAD_LENGTHS.filter((length) => length >= 125))(
    'puts a publication of %i bytes in all on the wire, whatever its seq',
    (length) => {
      for (const sequence of SEQUENCES) {
        const prefix = `{"seq":${sequence}`;
        const body = `,"data":"${'x'.repeat(length - prefix.length - 11)}"}`;
        const [frame, ...rest] = decoded(encode(sequence, Buffer.from(body)));
        expect(rest).toEqual([]);
        expect(frame?.payload.toString() === prefix + body, `seq ${sequence}`).toBe(true);
        expect(frame?.payload.length).toBe(length);
      }
    },
  );

  it('writes nothing before its start and nothing behind its end', () => {
    const memory = createFrameMemory(64);
    const buffer = memory.bytes.fill(0xaa);
    const end = JSON_FRAMES.encodeFrame(memory, 10, 99, Buffer.from(',"data":1}'));
    expect(end).toBe(10 + 2 + '{"seq":99,"data":1}'.length);
    expect(buffer.subarray(0, 10)).toEqual(Buffer.alloc(10, 0xaa));
    expect(buffer.subarray(end)).toEqual(Buffer.alloc(64 - end, 0xaa));
  });

  it('is read by ws, frames of all lengths behind one another', async () => {
    const bodies = PAYLOAD_LENGTHS.map((length) => Buffer.from(`,"data":"${'é'.repeat(length)}"}`));
    const server = createServer();
    const accepted = Promise.withResolvers<Socket>();
    acceptUpgrades(server, { maxMessageBytes: 1_024, origins: [], auth: 'none' }, [JSON_FRAMES], {
      addressOf: () => '',
      excess: () => undefined,
      refusal: () => undefined,
      onAdmitted: (_webSocket, socket) => accepted.resolve(socket),
      onRejected: (code) => accepted.reject(new Error(code)),
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`);
    const texts: string[] = [];
    client.on('message', (data) => texts.push(String(data)));
    const socket = await accepted.promise;
    socket.write(Buffer.concat(bodies.map((body, i) => encode(SEQUENCES[i] as number, body))));
    await until(() => texts.length === bodies.length, 'every frame');
    expect(texts).toEqual(bodies.map((body, i) => `{"seq":${SEQUENCES[i]}${body}`));
    client.terminate();
    server.close();
  });
});

describe('FrameWriter', () => {
  it('sends all that waits in one write, control frames in order', () => {
    const { outbox, sink, write } = setUp();
    offer(outbox, 'a');
    outbox.offerControl(Buffer.from('{"type":"pong"}'));
    offer(outbox, 'b');
    write();
    expect(sink.writes).toHaveLength(1);
    expect(texts(sink)).toEqual([
      '{"seq":1,"data":"a"}',
      '{"type":"pong"}',
      '{"seq":2,"data":"b"}',
    ]);
  });

  it('fills a write up to 64 KiB and loses nothing between writes', () => {
    const { outbox, sink, write } = setUp();
    for (let i = 1; i <= 500; i += 1) offer(outbox, 'x'.repeat(1_000));
    write();
    const sizes = sink.copies.map(({ length }) => length);
    const frameBytes = 1_000 + 50;
    expect(Math.max(...sizes)).toBeLessThanOrEqual(WRITE_BYTES);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(WRITE_BYTES - frameBytes);
    expect(seqs(sink)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  });

  it.each([false, true])(
    'sends what is larger than a write by itself (cautious: %s)',
    (cautious) => {
      const { outbox, sink, write } = setUp();
      offer(outbox, 'a');
      offer(outbox, 'x'.repeat(100_000));
      offer(outbox, 'b');
      write(cautious);
      expect(sink.copies.map((bytes) => decoded(bytes).length)).toEqual([1, 1, 1]);
      expect(seqs(sink)).toEqual([1, 2, 3]);
    },
  );

  it('hands at most 16 KiB of memory at a time to a socket that was blocked', () => {
    const { outbox, sink, write } = setUp();
    for (let i = 1; i <= 100; i += 1) offer(outbox, 'x'.repeat(1_000));
    write(true);
    expect(sink.copies.length).toBeGreaterThan(5);
    for (const bytes of sink.writes) {
      expect(bytes.length).toBeLessThanOrEqual(SMALL_WRITE_BYTES);
      expect(bytes.buffer.byteLength).toBe(SMALL_WRITE_BYTES);
    }
    expect(seqs(sink)).toHaveLength(100);
  });

  it('hands no more than 16 KiB at a time, or one frame, to any socket where publications are large', () => {
    for (const size of [5_000, 15_000, 40_000]) {
      const { outbox, sink, write } = setUp();
      for (let i = 1; i <= 10; i += 1) offer(outbox, 'x'.repeat(size));
      write();
      expect(seqs(sink)).toHaveLength(10);
      for (const { length } of sink.copies) {
        expect(length).toBeLessThanOrEqual(Math.max(SMALL_WRITE_BYTES, size + 100));
      }
    }
  });

  it('hands no more memory to any socket than about what it is to send', () => {
    const { outbox, sink, write } = setUp();
    for (let i = 1; i <= 10; i += 1) offer(outbox, 'x'.repeat(1_000));
    write();
    expect(sink.writes.map(({ buffer }) => buffer.byteLength)).toEqual([SMALL_WRITE_BYTES]);
  });

  it('stops after the write that blocks the socket', () => {
    const { outbox, sink, write } = setUp();
    sink.stalled = true;
    for (let i = 1; i <= 200; i += 1) offer(outbox, 'x'.repeat(1_000));
    write();
    expect(outbox.blocked).toBe(true);
    expect(sink.writes).toHaveLength(1);
    const left = outbox.size;
    write();
    expect(outbox.size, 'nothing more while it is blocked').toBe(left);
  });

  it('leaves a socket that it writes to directly a copy of what the kernel did not take, and no more', () => {
    const taken: Buffer[] = [];
    const room = 1_000;
    const writer = new FrameWriter(JSON_FRAMES, (_descriptor, bytes) => {
      taken.push(Buffer.from(bytes.subarray(0, room)));
      return room;
    });
    const { outbox, sink } = setUp();
    sink.stalled = true;
    for (let i = 1; i <= 30; i += 1) offer(outbox, 'x'.repeat(1_000));
    writer.write(outbox, sink, false, nothing, 7);
    const [rest] = sink.writes as [Uint8Array];
    expect(rest.buffer.byteLength).toBe(rest.length);
    const held = Buffer.from(rest);
    writeToAnother(writer, 20_000, false);
    expect(held.equals(rest)).toBe(true);
    const frames = decoded(Buffer.concat([...taken, rest]));
    expect(frames).toHaveLength(30);
    expect(outbox.blocked).toBe(true);
  });

  it('keeps its memory, and what it remembers, after a write that left something behind', () => {
    let room = Number.POSITIVE_INFINITY;
    const writes: { readonly memory: ArrayBufferLike; readonly copy: Buffer }[] = [];
    const writer = new FrameWriter(JSON_FRAMES, (_descriptor, bytes, length) => {
      const taken = Math.min(room, length);
      writes.push({ memory: bytes.buffer, copy: Buffer.from(bytes.subarray(0, taken)) });
      return taken;
    });
    const bodies = Array.from({ length: 5 }, (_, i) => Buffer.from(`,"data":"${i}"}`));
    const writeToOne = (sequence: number): FakeSink => {
      const queues = new SendQueues(LIMITS);
      const outbox = new Outbox(queues, PATIENT, new PublicationLog(0));
      queues.reserveSequences(outbox.queueId, sequence - 1);
      const sink = new FakeSink();
      sink.stalled = true;
      for (const body of bodies) {
        outbox.offer({ channel: 'a', offset: 0, body, publishedAt: 0 }, 0);
      }
      writer.write(outbox, sink, false, nothing, 7);
      return sink;
    };
    writeToOne(1);
    writeToOne(11);
    room = 40;
    const sink = writeToOne(21);
    room = Number.POSITIVE_INFINITY;
    writeToOne(31);
    const last = writes.at(-1);
    expect(new Set(writes.map(({ memory }) => memory)).size).toBe(1);
    const texts = decoded(last?.copy as Buffer).map(({ payload }) => payload.toString());
    expect(texts).toEqual(bodies.map((body, i) => `{"seq":${31 + i}${body}`));
    const partial = decoded(Buffer.concat([writes[2]?.copy as Buffer, ...sink.writes]));
    expect(partial.map(({ payload }) => payload.toString())).toEqual(
      bodies.map((body, i) => `{"seq":${21 + i}${body}`),
    );
  });

  it('gives a stream that still holds data a copy of the frames, which leaves behind that data', () => {
    const { writer, outbox, sink } = setUp();
    sink.stalled = true;
    sink.write(Buffer.from('pong'));
    for (let i = 1; i <= 30; i += 1) offer(outbox, 'x'.repeat(1_000));
    writer.write(outbox, sink, false, nothing, 7);
    const [, frames] = sink.writes as [Uint8Array, Uint8Array];
    expect(frames.buffer.byteLength).toBe(frames.length);
    expect(decoded(frames)).toHaveLength(30);
  });

  it('does not take a write over TLS, which is unfinished until the next turn, for a blocked socket', () => {
    const { writer, outbox, sink, write } = setUp();
    sink.encrypted = true;
    sink.stalled = true;
    for (let i = 1; i <= 10; i += 1) offer(outbox, 'x'.repeat(100));
    write();
    expect(outbox.blocked).toBe(false);
    const [frames] = sink.writes as [Uint8Array];
    expect(frames.buffer.byteLength, 'a copy, and no more').toBe(frames.length);
    const held = Buffer.from(frames);
    writeToAnother(writer, 1_000, false);
    expect(held.equals(frames)).toBe(true);
    offer(outbox, 'y');
    write();
    expect(outbox.blocked, 'what was left before is left still').toBe(true);
    sink.drain();
    expect(seqs(sink)).toEqual(Array.from({ length: 11 }, (_, i) => i + 1));
  });

  it('leaves a TLS socket that the peer does not read two writes, and no more', () => {
    const { outbox, sink, write } = setUp();
    sink.encrypted = true;
    sink.stalled = true;
    for (let i = 1; i <= 400; i += 1) offer(outbox, 'x'.repeat(1_000));
    for (let turn = 0; turn < 5; turn += 1) write();
    expect(sink.writes).toHaveLength(2);
    expect(sink.writableLength).toBeLessThanOrEqual(2 * WRITE_BYTES);
  });

  it('counts every byte that it wrote, headers included', () => {
    const { writer, outbox, sink, write } = setUp();
    for (let i = 1; i <= 200; i += 1) offer(outbox, 'x'.repeat(i * 7));
    write();
    write(true);
    expect(writer.bytesOut).toBe(sink.copies.reduce((sum, { length }) => sum + length, 0));
  });

  it.each([1_000, 100_000])(
    'never writes again to memory that a socket still holds (%i)',
    (size) => {
      const { writer, outbox, sink, write } = setUp();
      sink.stalled = true;
      offer(outbox, 'x'.repeat(size));
      write();
      const held = Buffer.from(sink.writes[0] as Uint8Array);
      for (const cautious of [false, true, false]) writeToAnother(writer, size, cautious);
      expect(held.equals(sink.writes[0] as Uint8Array)).toBe(true);
    },
  );

  it('uses its memory again after a write that left nothing behind', () => {
    const { writer, outbox, sink, write } = setUp();
    offer(outbox, 'x'.repeat(1_000));
    write();
    const other = writeToAnother(writer, 1_000, false);
    expect(other.writes[0]?.buffer).toBe(sink.writes[0]?.buffer);
    const written = Buffer.from(sink.copies[0] as Buffer);
    expect(written.equals(sink.writes[0] as Uint8Array)).toBe(false);
  });
});

function setUp() {
  const writer = new FrameWriter(JSON_FRAMES);
  const outbox = new Outbox(new SendQueues(LIMITS), PATIENT, new PublicationLog(0));
  const sink = new FakeSink();
  const write = (cautious = false) => writer.write(outbox, sink, cautious, nothing);
  return { writer, outbox, sink, write };
}

function writeToAnother(writer: FrameWriter, size: number, cautious: boolean): FakeSink {
  const outbox = new Outbox(new SendQueues(LIMITS), PATIENT, new PublicationLog(0));
  const sink = new FakeSink();
  offer(outbox, 'y'.repeat(size));
  writer.write(outbox, sink, cautious, nothing);
  return sink;
}

function nothing(): void {}

function offer(outbox: Outbox, data: string): void {
  const body = Buffer.from(`,"data":"${data}"}`);
  outbox.offer({ channel: 'a', offset: 0, body, publishedAt: 0 }, 0);
}

function encode(sequence: number, bytes: Buffer): Buffer {
  const memory = createFrameMemory(bytes.length + 64);
  return memory.bytes.subarray(0, JSON_FRAMES.encodeFrame(memory, 0, sequence, bytes));
}

function decoded(bytes: Uint8Array) {
  const decoder = new FrameDecoder();
  const frames = decoder.push(bytes);
  expect(decoder.incomplete, 'bytes behind the last whole frame').toBe(0);
  return frames;
}

function texts(sink: FakeSink): string[] {
  return sink.frames.map(({ payload }) => payload.toString());
}

function seqs(sink: FakeSink): number[] {
  return texts(sink).map((text) => (JSON.parse(text) as { seq: number }).seq);
}
