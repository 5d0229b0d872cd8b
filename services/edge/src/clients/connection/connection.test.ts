import { countOf, Excerpt, type Loss, PublicationLog, ReplayMemory } from '@tradewind/fanout';
import { encodeServerMessage, type Gap } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { FakeSink } from '../../outbound/testing/fake-sink.ts';
import { publicationOf } from '../testing/fake-upstream.ts';
import { createTestConnection, LIMITS, RecordingOwner } from '../testing/test-connection.ts';
import type { Connection } from './connection.ts';

/** One write for each of these. */
const LARGE = 'x'.repeat(20 * 1024);

/** 21 of these and their frames go into one write of 64 KiB. */
const MEDIUM = 'x'.repeat(3_000);

const CAUTIOUS_WRITE_BYTES = 16 * 1024;

describe('Connection: writing', () => {
  it('writes again only after the kernel has taken every earlier write', async () => {
    const { connection, sink } = createTestConnection();
    offer(connection, MEDIUM, 21);
    connection.flush();
    sink.stalled = true;
    offer(connection, MEDIUM, 30);
    connection.flush();
    expect(sink.writes, 'one went through, one is left behind').toHaveLength(2);
    await new Promise(process.nextTick);
    expect(connection.outbox.blocked, 'the first one’s callback unblocks nothing').toBe(true);
    connection.flush();
    expect(sink.writes).toHaveLength(2);
    sink.drain();
    expect(connection.outbox.blocked).toBe(false);
    expect(seqs(sink)).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
  });

  it('writes smaller pieces after the kernel left one behind, until it takes one whole', () => {
    const { connection, sink } = createTestConnection();
    sink.stalled = true;
    offer(connection, 'x'.repeat(1_000), 150);
    connection.flush();
    sink.drain();
    const afterwards = sink.copies.slice(1).map(({ length }) => length);
    expect(afterwards.length).toBeGreaterThan(1);
    expect(Math.max(...afterwards)).toBeLessThanOrEqual(CAUTIOUS_WRITE_BYTES);
    offer(connection, 'x'.repeat(1_000), 50);
    connection.flush();
    expect(sink.copies.at(-1)?.length).toBeGreaterThan(CAUTIOUS_WRITE_BYTES);
    expect(seqs(sink)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  it('writes nothing more to a socket that broke', () => {
    const { connection, sink } = createTestConnection();
    sink.stalled = true;
    offer(connection, LARGE, 6);
    connection.flush();
    sink.fail();
    expect(sink.writes).toHaveLength(1);
  });

  it('writes nothing behind the close frame that answers the peer’s', () => {
    const { connection, webSocket, sink } = createTestConnection();
    offer(connection, 'queued', 3);
    connection.send({ type: 'pong', serverTime: 0 });
    const written = sink.writes.length;
    offer(connection, 'queued', 1);
    webSocket.readyState = WebSocket.CLOSING;
    connection.flush();
    expect(sink.writes).toHaveLength(written);
  });

  it('tells its owner what was lost once there is room again, before anything else', () => {
    const owner = new RecordingOwner();
    const { connection, sink } = createTestConnection({ owner, limits: { ...LIMITS, slots: 8 } });
    sink.stalled = true;
    offer(connection, MEDIUM, 3);
    connection.flush();
    offer(connection, MEDIUM, 8 + 5);
    expect(owner.losses).toEqual([]);
    sink.drain();
    expect(owner.losses).toEqual([new Map([['a', 5]])]);
    offer(connection, 'later', 1);
    connection.flush();
    expect(seqs(sink)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 17]);
  });

  it('disconnects a client that asks faster than it reads the answers', () => {
    const limits = { ...LIMITS, controls: 16 };
    const { connection, webSocket, sink } = createTestConnection({ limits });
    sink.stalled = true;
    for (let i = 0; i < 1 + limits.controls; i += 1) send(connection);
    expect(webSocket.closes).toEqual([]);
    send(connection);
    expect(webSocket.closes).toEqual([{ code: 4008, reason: 'slow' }]);
  });
});

describe('Connection: notices for a client that does not read', () => {
  const limits = { ...LIMITS, controls: 4 };

  function stall(log = new PublicationLog(0)) {
    const owner = new GapTellingOwner();
    const parts = createTestConnection({ owner, limits, log });
    parts.sink.stalled = true;
    send(parts.connection);
    for (let i = 0; i < limits.controls; i += 1) send(parts.connection);
    return parts;
  }

  it('wait where there is no room, do not count against it, and come once before anything newer', () => {
    const log = new PublicationLog(0);
    const { connection, webSocket, sink } = stall(log);
    const gap: Gap = { type: 'gap', channel: 'a', reason: 'link' };
    const frame = encodeServerMessage(gap);
    const notice = { channel: 'a', frame, missing: { kind: 'unknown' } } as const;
    for (let i = 0; i < 50; i += 1) connection.sendInOrder(notice);
    log.append(publicationOf('a', 'refused'));
    offer(connection, 'refused', 1);
    expect(webSocket.closes).toEqual([]);
    sink.drain();
    offer(connection, 'later', 1);
    connection.flush();
    const payloads = sink.frames.map(({ payload }) => payload.toString());
    const gaps = payloads.filter((payload) => payload.includes('"gap"'));
    expect(gaps, 'one for all that was told, one for what was refused').toHaveLength(2);
    expect(payloads.at(-1)).toContain('"seq":2');
    expect(payloads.slice(-3, -1)).toEqual(gaps);
  });

  it('tell the state of the node once there is room, unless it was told already', () => {
    const { connection, webSocket, sink } = stall();
    const degraded = [1, 2].map((since) => encodeServerMessage({ type: 'degraded', since }));
    const states = () =>
      sink.frames.flatMap(
        ({ payload }) => /degraded","since":\d|restored/.exec(`${payload}`) ?? [],
      );
    connection.sendState(degraded[0]);
    connection.sendState(undefined);
    expect(webSocket.closes).toEqual([]);
    sink.drain();
    expect(states(), 'it never heard that the node was degraded').toEqual([]);
    connection.sendState(degraded[1]);
    connection.flush();
    sink.stalled = true;
    while (connection.outbox.offerControl(degraded[0]!) !== 'slow') connection.flush();
    connection.sendState(undefined);
    sink.drain();
    expect([states()[0], states().at(-1)]).toEqual(['degraded","since":2', 'restored']);
  });
});

describe('Connection: a window of bytes that are written and not read', () => {
  /** With its frame it fills one write, and two of them are more than 120 KiB. */
  const LARGEST = 'x'.repeat(65_000);

  it('shuts after a quarter of a MiB, whatever the kernel takes, and opens with each answer', async () => {
    const { connection, webSocket, sink } = createTestConnection({ isWindowed: true });
    offer(connection, LARGEST, 20);
    connection.flush();
    await callbacks();
    const bytes = () => sink.copies.reduce((sum, { length }) => sum + length, 0);
    expect([bytes() > 240 * 1024, bytes() < 400 * 1024]).toEqual([true, true]);
    expect([webSocket.marks.length, connection.outbox.blocked]).toEqual([2, true]);
    const before = bytes();
    webSocket.emit('pong', webSocket.marks[0]);
    await callbacks();
    expect(bytes() - before).toBeGreaterThanOrEqual(120 * 1024);
    expect([webSocket.marks.length, connection.outbox.blocked]).toEqual([3, true]);
    while (connection.outbox.blocked) {
      webSocket.emit('pong', webSocket.marks.at(-1));
      await callbacks();
    }
    expect(seqs(sink)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it.each(['kernel', 'answer'])('waits for the %s too, when that comes last', async (last) => {
    const { connection, webSocket, sink } = createTestConnection({ isWindowed: true });
    // The frame is larger than the whole window, and the kernel does not take it either.
    sink.stalled = true;
    offer(connection, 'x'.repeat(300_000), 1);
    offer(connection, 'later', 1);
    connection.flush();
    const answer = () => webSocket.emit('pong', webSocket.marks[0]);
    if (last === 'kernel') answer();
    else sink.drain();
    await callbacks();
    expect(seqs(sink)).toEqual([1]);
    if (last === 'kernel') sink.drain();
    else answer();
    await callbacks();
    expect(seqs(sink)).toEqual([1, 2]);
  });

  it('charges a client for no answer to a ping of ours, and for any other pong', async () => {
    const owner = new RecordingOwner();
    const { connection, passSecond, webSocket } = createTestConnection({
      owner,
      isWindowed: true,
    });
    offer(connection, LARGEST, 20);
    connection.flush();
    await callbacks();
    webSocket.emit('pong', webSocket.marks[1]);
    const charged = () => owner.told.filter((what) => what === 'received control frame').length;
    expect(charged()).toBe(0);
    webSocket.emit('pong', webSocket.marks[1]);
    webSocket.emit('pong', Buffer.from([9, 9]));
    webSocket.emit('pong', Buffer.alloc(0));
    expect(charged()).toBe(3);
    const before = webSocket.pings;
    while (webSocket.pings === before) passSecond();
    webSocket.emit('message', Buffer.from('{}'), false);
    for (let i = 0; i < 2; i += 1) webSocket.emit('pong', webSocket.marks.at(-1));
    expect(charged(), 'one for the window, one for the sign of life').toBe(3);
    webSocket.emit('pong', webSocket.marks.at(-1));
    expect(charged()).toBe(4);
  });

  it('opens when a client answers only the latest ping, whatever that was sent for', async () => {
    const { connection, passSecond, webSocket } = createTestConnection({ isWindowed: true });
    offer(connection, LARGEST, 20);
    connection.flush();
    await callbacks();
    const before = webSocket.pings;
    while (webSocket.pings === before) passSecond();
    expect([webSocket.pings, connection.outbox.blocked]).toEqual([3, true]);
    webSocket.emit('pong', webSocket.marks[2]);
    await callbacks();
    expect(webSocket.pings, 'more was written').toBeGreaterThan(3);
  });

  it.each([
    [
      'blocks replay memory after 8 s, although it reads all the time',
      2_000,
      [...Array(7).fill(false), true],
    ],
    ['control: not with what it has read by then', 100, Array(8).fill(false)],
  ])('%s', async (_, publications, expected) => {
    const { connection, passSecond, webSocket } = createTestConnection({ isWindowed: true });
    const excerpt = new Excerpt('a', new ReplayMemory(Number.POSITIVE_INFINITY, () => {}));
    const data = 'x'.repeat(4_000);
    for (let offset = 1; offset <= publications; offset += 1) {
      excerpt.append(publicationOf('a', data, offset));
    }
    connection.scheduleReplay(excerpt.replayFrom(1));
    const held: boolean[] = [];
    while (held.length < expected.length) {
      await callbacks();
      webSocket.emit('pong', webSocket.marks.at(-1) ?? Buffer.alloc(0));
      await callbacks();
      passSecond();
      held.push(connection.blocksReplayMemory);
    }
    expect(held).toEqual(expected);
  });

  it('counts a client that does not answer as slow, like one whose kernel takes nothing', async () => {
    const { connection, webSocket } = createTestConnection({
      isWindowed: true,
      slow: { graceMs: 60_000, maxLagMs: 5_000 },
    });
    offer(connection, LARGEST, 20);
    connection.flush();
    await callbacks();
    connection.tend(5_000);
    expect(webSocket.closes).toEqual([{ code: 4008, reason: 'slow' }]);
  });
});

describe('Connection: ending', () => {
  it('finishes with what is queued, then closes with the code of its reason', () => {
    const { connection, webSocket, sink } = createTestConnection();
    sink.stalled = true;
    offer(connection, LARGE, 10);
    connection.flush();
    connection.finish('draining');
    connection.send({ type: 'degraded', since: 0 });
    expect(webSocket.closes, 'not before all is written').toEqual([]);
    sink.drain();
    expect(seqs(sink)).toHaveLength(10);
    expect(sink.frames.at(-1)?.payload.toString()).toBe('{"type":"degraded","since":0}');
    expect(webSocket.closes).toEqual([{ code: 1012, reason: 'draining' }]);
  });

  it('closes only after the kernel has the last write, however long that takes', () => {
    const { connection, webSocket, sink } = createTestConnection();
    sink.stalled = true;
    offer(connection, LARGE, 1);
    connection.flush();
    expect(connection.outbox.size).toBe(0);
    connection.finish('draining');
    expect(webSocket.closes).toEqual([]);
    sink.drain();
    expect(webSocket.closes).toEqual([{ code: 1012, reason: 'draining' }]);
  });

  it('tells of a loss before it finishes', () => {
    const owner = new GapTellingOwner();
    const { connection, webSocket, sink } = createTestConnection({
      owner,
      limits: { ...LIMITS, slots: 8 },
    });
    sink.stalled = true;
    offer(connection, MEDIUM, 3);
    connection.flush();
    offer(connection, MEDIUM, 8 + 2);
    connection.finish('draining');
    sink.drain();
    expect(sink.frames.at(-1)?.payload.toString()).toContain('"type":"gap"');
    expect(webSocket.closes).toHaveLength(1);
  });

  it('tells its owner once that it is leaving, before it says that it is closed', () => {
    const owner = new RecordingOwner();
    const { connection, webSocket } = createTestConnection({ owner });
    connection.finish('draining');
    connection.close('slow');
    connection.terminate('heartbeat_timeout');
    webSocket.end(1006);
    expect(owner.told).toEqual(['leaving', 'closed']);
    expect(owner.reasons, 'the first reason is the reason').toEqual(['draining']);
  });

  it('drops everything that waits when it is closed at once, and takes nothing more', () => {
    const { connection, webSocket, sink } = createTestConnection();
    offer(connection, 'dropped', 3);
    connection.close('rate_limited');
    send(connection);
    connection.flush();
    expect(sink.writes).toEqual([]);
    expect(connection.outbox.size).toBe(0);
    expect(webSocket.closes).toEqual([{ code: 4029, reason: 'rate_limited' }]);
  });

  it('continues to read for a limited time while it closes, because a reset would hide the close code', () => {
    const { connection, webSocket } = createTestConnection();
    connection.close('rate_limited');
    for (let i = 0; i < 5_000; i += 1) webSocket.emit('ping', Buffer.alloc(0));
    for (let i = 0; i < 5_000; i += 1) webSocket.emit('message', Buffer.from('{}'), false);
    expect(webSocket.paused).toBe(false);
    webSocket.emit('ping', Buffer.alloc(0));
    expect(webSocket.paused).toBe(true);
  });

  it('passes on no message that arrives after it began to end', () => {
    const owner = new RecordingOwner();
    const { connection, webSocket } = createTestConnection({ owner });
    webSocket.emit('message', Buffer.from('{}'), false);
    connection.finish('draining');
    webSocket.emit('message', Buffer.from('{}'), false);
    expect(owner.told).toEqual(['received', 'leaving']);
  });

  it.each([
    [1000, 'normal'],
    [1001, 'going_away'],
    [1005, 'normal'],
    [1006, 'connection_lost'],
    [4008, 'normal'],
  ] as const)('records a peer’s close with %i as %s', (code, reason) => {
    const owner = new RecordingOwner();
    const { webSocket } = createTestConnection({ owner });
    webSocket.end(code);
    expect(owner).toMatchObject({ told: ['leaving', 'closed'], reasons: [reason] });
  });

  it.each([
    ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'message_too_large'],
    ['WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', 'message_too_large'],
    ['WS_ERR_INVALID_UTF8', 'invalid_text'],
    ['WS_ERR_TOO_MANY_BUFFERED_PARTS', 'policy_violation'],
    ['WS_ERR_EXPECTED_MASK', 'protocol_error'],
    ['ECONNRESET', 'connection_lost'],
  ] as const)('records the error %s as %s', (code, reason) => {
    const owner = new RecordingOwner();
    const { webSocket } = createTestConnection({ owner });
    webSocket.emit('error', Object.assign(new Error('x'), { code }));
    webSocket.end(1006);
    expect(owner.reasons).toEqual([reason]);
  });
});

describe('Connection: each second', () => {
  const SILENT = { silentSeconds: 1 };

  it('pings a silent peer once and terminates it when it stays silent', () => {
    const owner = new RecordingOwner();
    const { passSecond, webSocket } = createTestConnection({ owner });
    for (let second = 1; second < 5; second += 1) passSecond();
    expect(webSocket).toMatchObject({ pings: 1, terminated: false });
    passSecond();
    webSocket.end(1006);
    expect(owner.reasons).toEqual(['heartbeat_timeout']);
  });

  it.each([
    [true, ['heartbeat_timeout']],
    [false, []],
  ])(
    'takes a write that was blocked by another of the same turn for no sign of life over TLS (TLS: %s)',
    (isEncrypted, reasons) => {
      const owner = new RecordingOwner();
      const { connection, webSocket, sink, passSecond } = createTestConnection({ owner });
      sink.encrypted = isEncrypted;
      while (webSocket.pings === 0) passSecond();
      for (let second = 0; second < 3 && !webSocket.terminated; second += 1) {
        sink.stalled = true;
        for (let write = 0; write < 2; write += 1) {
          offer(connection, 'a', 1);
          connection.flush();
        }
        expect(connection.outbox.blocked).toBe(true);
        sink.drain();
        passSecond();
      }
      if (webSocket.terminated) webSocket.end(1006);
      expect(owner.reasons).toEqual(reasons);
    },
  );

  it('closes a client that asks for no channel in time, and lets one that is sent away read on', () => {
    const [silent, leaving] = [createTestConnection(SILENT), createTestConnection(SILENT)];
    leaving.sink.stalled = true;
    send(leaving.connection);
    leaving.connection.finish('draining');
    for (const { passSecond } of [silent, leaving]) passSecond();
    expect(silent.webSocket.closes).toEqual([{ code: 4001, reason: 'silent' }]);
    expect(leaving.webSocket.closes).toEqual([]);
    leaving.sink.drain();
    expect(leaving.webSocket.closes).toEqual([{ code: 1012, reason: 'draining' }]);
  });

  it('does not charge a client for the pong to our ping, even behind a request of its own', () => {
    const owner = new RecordingOwner();
    const { passSecond, webSocket } = createTestConnection({ owner });
    while (webSocket.pings === 0) passSecond();
    webSocket.emit('message', Buffer.from('{}'), false);
    for (let i = 0; i < 2; i += 1) webSocket.emit('pong', Buffer.alloc(0));
    expect(owner.told, 'control: the second answers nothing').toEqual([
      ...['received', 'received control frame'],
    ]);
  });

  it.each(['message', 'ping', 'pong'])('counts a %s as a sign of life', (event) => {
    const { passSecond, webSocket } = createTestConnection();
    for (let second = 1; second < 50; second += 1) {
      passSecond();
      webSocket.emit(event, Buffer.alloc(0), false);
    }
    expect(webSocket).toMatchObject({ pings: 0, terminated: false });
  });

  it('counts it as a sign of life when the kernel takes bytes that waited', () => {
    const { connection, passSecond, webSocket, sink } = createTestConnection();
    for (let second = 1; second < 50; second += 1) {
      sink.stalled = true;
      send(connection);
      passSecond();
      sink.drain();
    }
    expect(webSocket.terminated).toBe(false);
  });

  it('disconnects a client that is behind too long, even if nothing new is published', () => {
    const { connection, webSocket, sink } = createTestConnection({
      slow: { graceMs: 60_000, maxLagMs: 5_000 },
    });
    sink.stalled = true;
    offer(connection, LARGE, 6);
    connection.flush();
    connection.tend(4_999);
    expect(webSocket.closes).toEqual([]);
    connection.tend(5_000);
    expect(webSocket.closes).toEqual([{ code: 4008, reason: 'slow' }]);
  });
});

/** Turns a loss into a gap in the same outbox, as the fan-out does. */
class GapTellingOwner extends RecordingOwner {
  override onLosses(connection: Connection, losses: readonly Loss[]): void {
    for (const { channel, missing } of losses) {
      connection.send({ type: 'gap', channel, lost: countOf(missing) ?? 0, reason: 'slow' });
    }
  }
}

/** Runs the callbacks of all writes so far. */
async function callbacks(): Promise<void> {
  await new Promise(process.nextTick);
}

function offer(connection: Connection, data: string, times: number): void {
  for (let i = 0; i < times; i += 1) connection.outbox.offer(publicationOf('a', data), 0);
}

function send(connection: Connection): void {
  connection.send({ type: 'pong', serverTime: 0 });
}

function seqs(sink: FakeSink): number[] {
  return sink.frames
    .map(({ payload }) => JSON.parse(payload.toString()) as { seq?: number })
    .flatMap(({ seq }) => seq ?? []);
}
