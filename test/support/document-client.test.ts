import { describe, expect, it } from 'vitest';
import { DeliveryRecord } from './delivery-record.ts';
import { DocumentClient, type WireEvents } from './document-client.ts';

const CHANNEL = 'BTC.trade';

/** As a node with 40,000 connections says. */
const SPREAD_MS = 5_000;

/** One connection under the control of a test. */
class ScriptedWire {
  readonly events: WireEvents;
  readonly sent: Record<string, unknown>[] = [];
  closedWith: number | undefined;

  constructor(events: WireEvents) {
    this.events = events;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code: number): void {
    this.closedWith = code;
  }

  tell(message: object): void {
    this.events.frame(JSON.stringify(message));
  }

  welcome(): void {
    this.tell({
      type: 'welcome',
      heartbeat: { clientPingMs: 20_000, timeoutMs: 10_000 },
      limits: { maxChannelsPerRequest: 128 },
      reconnect: { spreadMs: SPREAD_MS },
    });
  }

  /** The last `subscribe` that was sent. */
  get asked(): Record<string, unknown> | undefined {
    return this.sent.findLast(({ type }) => type === 'subscribe');
  }
}

/** Makes a client with a clock that the test controls. */
function setUp() {
  const wires: ScriptedWire[] = [];
  const timers = new Set<{ readonly at: number; readonly act: () => void }>();
  const record = new DeliveryRecord();
  let now = 0;
  const client = new DocumentClient([{ channel: CHANNEL }], record, {
    open(events) {
      const wire = new ScriptedWire(events);
      wires.push(wire);
      return wire;
    },
    after(ms, act) {
      const timer = { at: now + ms, act };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    random: () => 1,
  });
  client.start();
  return {
    client,
    record,
    wires,
    get wire(): ScriptedWire {
      return wires.at(-1)!;
    },
    pass(ms: number): void {
      now += ms;
      for (const timer of [...timers]) {
        if (timer.at <= now && timers.delete(timer)) timer.act();
      }
    },
  };
}

describe('DocumentClient', () => {
  it('ignores frames and fields that it does not know', () => {
    const { client, wire } = setUp();
    wire.welcome();
    wire.tell({ type: 'news', of: 'a later release' });
    expect(client.followed.get('unknown')).toBe(1);
    expect(wire.closedWith).toBeUndefined();
  });

  it('sends a request again after `retryAfterMs`, and gives up a request that is not retryable', () => {
    const { record, wire, pass } = setUp();
    wire.welcome();
    const first = wire.asked!;
    const error = { type: 'error', code: 'rate_limited', message: '', retryable: true };
    wire.tell({ ...error, id: first.id, retryAfterMs: 300 });
    pass(299);
    expect(wire.asked).toBe(first);
    pass(1);
    expect(wire.asked).toMatchObject({ channels: first.channels });
    expect(wire.asked!.id).not.toBe(first.id);
    wire.tell({ ...error, id: wire.asked!.id, code: 'bad_message', retryable: false });
    expect(record.gaveUps).toEqual([`${CHANNEL} bad_message`]);
  });

  it('subscribes again to a rejected channel after `retryAfterMs`', () => {
    const { wire, pass } = setUp();
    wire.welcome();
    const first = wire.asked!;
    const rejected = [{ channel: CHANNEL, code: 'rate_limited', retryAfterMs: 7_000 }];
    wire.tell({ type: 'subscribed', id: first.id, channels: [], rejected, done: true });
    pass(6_999);
    expect(wire.asked).toBe(first);
    pass(1);
    expect(wire.asked).not.toBe(first);
  });

  it('continues after an error without an id', () => {
    const { record, wire, pass } = setUp();
    wire.welcome();
    const first = wire.asked;
    wire.tell({ type: 'error', code: 'rate_limited', message: '', retryable: true });
    pass(5_000);
    expect(wire.asked).toBe(first);
    expect(record.gaveUps).toEqual([]);
  });

  it('connects again if the first connection fails, each time after a longer wait', () => {
    const { wires, pass } = setUp();
    for (const boundMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      wires.at(-1)!.events.closed(undefined);
      pass(boundMs - 1);
      const before = wires.length;
      pass(1);
      expect(wires).toHaveLength(before + 1);
    }
  });

  it.each([
    [1002, true],
    [4_450, true],
    [4_350, false],
    [1013, false],
  ])('after the code %i stops: %s', (code, stops) => {
    const { record, wire } = setUp();
    wire.welcome();
    wire.events.closed(code);
    expect(record.hasStopped).toBe(stops);
  });

  it.each([
    [404, true],
    [429, false],
    [503, false],
  ])('after a handshake that was refused with %i stops: %s', (status, stops) => {
    const { record, wire } = setUp();
    wire.events.refused(status, undefined);
    expect(record.hasStopped).toBe(stops);
  });

  it('waits as long as `Retry-After` says', () => {
    const { wires, wire, pass } = setUp();
    wire.events.refused(503, 5);
    pass(4_999);
    expect(wires).toHaveLength(1);
    pass(1);
    expect(wires).toHaveLength(2);
  });

  it('moves to one other connection at `reconnect`, and opens no third when the first one ends', () => {
    const { wires, wire: old, pass } = setUp();
    old.welcome();
    old.tell({ type: 'reconnect', afterMs: 500, deadlineMs: 2_000, reason: 'draining' });
    old.tell({ type: 'reconnect', afterMs: 500, deadlineMs: 2_000, reason: 'draining' });
    pass(500);
    expect(wires).toHaveLength(2);
    expect(old.closedWith).toBeUndefined();
    wires[1]!.welcome();
    expect(old.closedWith).toBe(1_000);
    expect(wires[1]!.asked).toMatchObject({ channels: [{ channel: CHANNEL }] });
    old.events.closed(1012);
    pass(60_000);
    expect(wires).toHaveLength(2);
  });

  it('keeps the old connection if the new one fails, and tries again', () => {
    const { client, record, wires, wire: old, pass } = setUp();
    old.welcome();
    old.tell({
      ...{ type: 'subscribed', id: old.asked!.id, done: true },
      channels: [{ channel: CHANNEL, ref: 1, epoch: 'e', offset: 4 }],
    });
    old.tell({ type: 'reconnect', afterMs: 0, deadlineMs: 2_000, reason: 'draining' });
    pass(0);
    wires[1]!.events.closed(undefined);
    old.tell({ seq: 1, channel: CHANNEL, offset: 5, ts: 1, data: { n: 5 } });
    expect(record.count('used')).toBe(1);
    expect(client.isLive).toBe(true);
    pass(1_000);
    wires[2]!.welcome();
    expect(wires[2]!.asked).toMatchObject({
      channels: [{ channel: CHANNEL, since: { epoch: 'e', offset: 5 } }],
    });
  });

  it('gives up a silent connection', () => {
    const { wires, wire, pass } = setUp();
    wire.welcome();
    pass(20_000);
    expect(wire.sent.at(-1)).toMatchObject({ type: 'ping' });
    pass(9_999);
    expect(wire.closedWith).toBeUndefined();
    pass(1);
    expect(wire.closedWith).toBe(1_000);
    pass(SPREAD_MS);
    expect(wires).toHaveLength(2);
  });

  it.each([
    ['no code', undefined, SPREAD_MS],
    ['1006', 1006, SPREAD_MS],
    ['1012', 1012, 1_000],
  ])('spreads its return after %s over %i ms', (_what, code, boundMs) => {
    const { wires, wire, pass } = setUp();
    wire.welcome();
    wire.events.closed(code);
    pass(boundMs - 1);
    expect(wires).toHaveLength(1);
    pass(1);
    expect(wires).toHaveLength(2);
  });

  it('takes the first epoch of a channel as its beginning, and reports no loss', () => {
    const { client, record, wire } = setUp();
    wire.welcome();
    const answer = { type: 'subscribed', id: wire.asked!.id, done: true };
    wire.tell({ ...answer, channels: [{ channel: CHANNEL, ref: 1 }] });
    wire.tell({ seq: 1, channel: CHANNEL, offset: 1, ts: 1, data: { n: 1 } });
    const begun = record.count('begins');
    wire.tell({ type: 'resync', channel: CHANNEL, epoch: 'e', offset: 0, reason: 'started' });
    expect(record.count('begins')).toBe(begun);
    expect(record.count('started')).toBe(1);
    expect(client.channels.get(CHANNEL)).toMatchObject({ epoch: 'e', offset: 0 });
  });
});
