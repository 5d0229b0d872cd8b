import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Outbox, PublicationLog, SendQueues } from '@tradewind/fanout';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from '../clients/testing/deadline.ts';
import { LIMITS } from '../clients/testing/test-connection.ts';
import { type ByteSink, FrameWriter } from './frame-writer.ts';
import { JSON_FRAMES } from './json-frames.ts';
import {
  availableMode,
  type DirectSend,
  descriptorOf,
  loadSend,
  NO_DESCRIPTOR,
  sendNothing,
} from './socket-send.ts';
import { FrameDecoder } from './testing/frame-decoder.ts';

const TRY = fileURLToPath(new URL('./testing/available-mode.ts', import.meta.url));
const PATIENT = { graceMs: 60_000, maxLagMs: 60_000 };

let server: Server;
const ends: Socket[] = [];

beforeEach(async () => {
  server = createServer({ pauseOnConnect: true });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});

afterEach(() => {
  for (const end of ends.splice(0)) end.destroy();
  server.close();
});

describe('descriptorOf', () => {
  it('is that of a connected socket, and of no other', async () => {
    const { socket } = await pair();
    expect(descriptorOf(socket)).toBeGreaterThan(2);
    expect(descriptorOf(new Socket())).toBe(NO_DESCRIPTOR);
    expect(descriptorOf(new TLSSocket(socket)), 'its bytes are not the wire’s').toBe(NO_DESCRIPTOR);
    socket.destroy();
    expect(descriptorOf(socket)).toBe(NO_DESCRIPTOR);
  });
});

const HAS_SEND = availableMode('send', () => undefined) === 'send';
const send: DirectSend = HAS_SEND ? loadSend() : sendNothing;

describe.runIf(HAS_SEND)('loadSend', () => {
  it('says how many bytes the kernel took, down to none', async () => {
    const { socket, peer } = await pair();
    peer.pause();
    const bytes = Buffer.alloc(1024 * 1024);
    const taken: number[] = [];
    while (taken.at(-1) !== 0) taken.push(send(descriptorOf(socket), bytes, bytes.length));
    expect(taken.length).toBeGreaterThan(1);
    const total = taken.reduce((sum, some) => sum + some, 0);
    let received = 0;
    peer.on('data', (chunk) => {
      received += chunk.length;
    });
    peer.resume();
    await until(() => received === total, 'all that was taken');
  });

  it('sends nothing on a connection that the peer has reset', async () => {
    const { socket, peer } = await pair();
    const descriptor = descriptorOf(socket);
    peer.resetAndDestroy();
    const bytes = Buffer.alloc(10);
    await until(() => send(descriptor, bytes, 10) === 0, 'the reset');
    expect(socket.destroyed, 'it is the stream that finds it out').toBe(false);
  });

  it('reads no more than there is', async () => {
    const { socket } = await pair();
    for (const length of [11, -1, Number.NaN]) {
      expect(() => send(descriptorOf(socket), Buffer.alloc(10), length)).toThrow(RangeError);
    }
  });

  it('sends nothing to a file, to which a write would go', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'socket-send-'));
    try {
      await using file = await open(join(folder, 'file'), 'w');
      expect(send(file.fd, Buffer.from('frames'), 6)).toBe(0);
      expect(writeSync(file.fd, Buffer.from('control'))).toBe(7);
      expect(await readFile(join(folder, 'file'), 'utf8')).toBe('control');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('loadSend where there is none', () => {
  it('says that it is for Linux, since flags are different elsewhere', () => {
    expect(() => loadSend('darwin')).toThrow('Linux only; this is darwin');
  });

  it('says why koffi does not load', () => {
    const broken = () => {
      throw new Error('no native code');
    };
    expect(() => loadSend('linux', broken)).toThrow('no native code');
  });
});

describe('availableMode', () => {
  it('is stream where streams are asked for, and tries nothing else', () => {
    const failed = vi.fn();
    expect(availableMode('stream', failed)).toBe('stream');
    expect(failed).not.toHaveBeenCalled();
  });

  it.runIf(process.platform === 'linux')(
    'is stream where native code may not be loaded, and says why',
    async () => {
      expect(await availableIn(['--no-addons'])).toMatchObject({
        mode: 'stream',
        why: expect.stringMatching(/koffi|addons?/i),
      });
    },
  );

  it.runIf(process.platform === 'linux' && process.arch === 'x64')(
    'is send where it may',
    async () => {
      expect(await availableIn([])).toEqual({ mode: 'send' });
    },
  );
});

describe.runIf(HAS_SEND)('FrameWriter with a descriptor', () => {
  it('gives the stream nothing that the kernel takes', async () => {
    const { socket, peer } = await pair();
    const received = receive(peer);
    const { outbox, write } = writerTo(socket);
    const written = watchWrites(socket);
    for (let i = 1; i <= 300; i += 1) offer(outbox, 'x'.repeat(1_000));
    write();
    await until(() => received.count() === 300, 'every frame');
    expect(written).toEqual([]);
    expect(outbox.blocked).toBe(false);
  });

  it('leaves what the kernel does not take to the stream, in order and once', async () => {
    const { socket, peer } = await pair();
    peer.pause();
    const { outbox, write, unblocked } = writerTo(socket);
    const written = watchWrites(socket);
    let offered = 0;
    const offerMore = () => {
      for (let i = 0; i < 100; i += 1) offer(outbox, `${'x'.repeat(5_000)}${offered + i}`);
      offered += 100;
      write();
    };
    while (!outbox.blocked) offerMore();
    expect(written.at(0), 'the rest of one write').toBeGreaterThan(0);
    expect(socket.writableLength).toBeGreaterThan(0);
    const received = receive(peer);
    await unblocked;
    outbox.blocked = false;
    offerMore();
    await until(() => received.count() === offered, 'every frame');
    expect(received.sequences()).toEqual(Array.from({ length: offered }, (_, i) => i + 1));
  });

  it('does not overtake what the stream still holds, also when the kernel has room again', async () => {
    const { socket, peer } = await pair();
    peer.pause();
    const earlier = Buffer.from(`\x81\x7e\xff\xff${'-'.repeat(65_535)}`, 'latin1');
    const frames = 200;
    for (let i = 0; i < frames; i += 1) socket.write(earlier);
    const { outbox, write } = writerTo(socket);
    let behind = 0;
    peer.on('data', () => {
      if (socket.writableLength === 0) return;
      behind += 1;
      offer(outbox, 'behind');
      outbox.blocked = false;
      write();
    });
    const received = receive(peer);
    await until(() => behind > 0 && received.count() === frames + behind, 'every frame');
    expect(behind).toBeGreaterThan(10);
    expect(received.texts().slice(-behind)).toEqual(
      Array.from({ length: behind }, (_, i) => `{"seq":${i + 1},"data":"behind"}`),
    );
  });

  it('reaches nobody once its socket is destroyed, whoever has the descriptor by then', async () => {
    const first = await pair();
    const descriptor = descriptorOf(first.socket);
    const { outbox, write } = writerTo(first.socket);
    first.socket.on('error', () => {});
    first.socket.destroy();
    await once(first.socket, 'close');
    const next = await pairWith(descriptor);
    const received = receive(next.peer);
    offer(outbox, 'secret');
    write();
    send(descriptor, Buffer.from('\x81\x07control', 'latin1'), 9);
    await until(() => received.count() > 0, 'what is written to the descriptor unguarded');
    expect(received.texts()).toEqual(['control']);
  });

  it('lets the stream tell that the connection is broken', async () => {
    const { socket, peer } = await pair();
    const { outbox, write } = writerTo(socket);
    const error = once(socket, 'error');
    peer.resetAndDestroy();
    await until(() => send(descriptorOf(socket), Buffer.alloc(1), 1) === 0, 'the reset');
    offer(outbox, 'x');
    write();
    await error;
    expect(socket.destroyed).toBe(true);
  });
});

/** What an edge that is asked to send does in a process of its own with these flags. */
async function availableIn(flags: readonly string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, TRY], { env: {} });
  return JSON.parse(stdout);
}

/** Both ends of a connection; the server's neither reads nor is read by anyone else. */
async function pair(): Promise<{ socket: Socket; peer: Socket }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = await accepted;
  peer.on('error', () => {});
  ends.push(socket, peer);
  return { socket, peer };
}

/** A connection whose server's end has this descriptor: the kernel gives out the lowest that is free. */
async function pairWith(descriptor: number): Promise<{ socket: Socket; peer: Socket }> {
  for (let i = 0; i < 100; i += 1) {
    const ends = await pair();
    if (descriptorOf(ends.socket) === descriptor) return ends;
    if (descriptorOf(ends.peer) === descriptor)
      return { socket: ends.peer, peer: ends.socket.resume() };
  }
  throw new Error(`nobody got descriptor ${descriptor}`);
}

function writerTo(socket: Socket) {
  const writer = new FrameWriter(JSON_FRAMES, send);
  const outbox = new Outbox(new SendQueues(LIMITS), PATIENT, new PublicationLog(0));
  const { promise: unblocked, resolve } = Promise.withResolvers<void>();
  const descriptor = descriptorOf(socket);
  const sink: ByteSink = socket;
  const write = () => writer.write(outbox, sink, false, () => resolve(), descriptor);
  return { outbox, write, unblocked };
}

/** The sizes of what the stream was given. */
function watchWrites(socket: Socket): readonly number[] {
  const sizes: number[] = [];
  const write = socket.write.bind(socket) as Socket['write'];
  socket.write = ((bytes: Uint8Array, ...rest: []) => {
    sizes.push(bytes.length);
    return write(bytes, ...rest);
  }) as Socket['write'];
  return sizes;
}

function receive(peer: Socket) {
  const decoder = new FrameDecoder();
  const texts: string[] = [];
  peer.on('data', (chunk) => {
    for (const { payload } of decoder.push(chunk)) texts.push(payload.toString());
  });
  peer.resume();
  return {
    count: () => texts.length,
    texts: () => texts,
    sequences: () => texts.map((text) => (JSON.parse(text) as { seq: number }).seq),
  };
}

function offer(outbox: Outbox, data: string): void {
  const body = Buffer.from(`,"data":"${data}"}`);
  outbox.offer({ channel: 'a', offset: 0, body, publishedAt: 0 }, 0);
}
