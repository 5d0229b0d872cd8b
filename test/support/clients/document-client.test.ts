import { describe, expect, it } from 'vitest';
import { DeliveryRecord } from './delivery-record.ts';
import { DocumentClient } from './document-client.ts';
import type { WireEvents } from './document-client-surroundings.ts';

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

  welcome(auth = 'none'): void {
    this.tell({
      ...{ type: 'welcome', auth },
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
  const tokens: (string | undefined)[] = [];
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
    token: (use) => use(tokens.shift()),
  });
  client.start();
  return {
    client,
    record,
    tokens,
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

  it('subscribes after `authenticated`, and refreshes its token on the same connection', () => {
    const { tokens, wires, wire } = setUp();
    tokens.push('t1', 't2');
    wire.welcome('required');
    expect(wire.sent).toEqual([{ type: 'auth', id: 1, token: 't1' }]);
    wire.tell({ type: 'authenticated', id: 1, subject: 'u', expiresInMs: 1_000 });
    expect(wire.asked).toMatchObject({ channels: [{ channel: CHANNEL }] });
    wire.tell({ type: 'expiring', expiresInMs: 500, graceMs: 500 });
    expect(wire.sent.at(-1)).toMatchObject({ type: 'auth', token: 't2' });
    const error = { type: 'error', code: 'unauthorized', message: '', retryable: false };
    wire.tell({ ...error, id: wire.sent.at(-1)?.id });
    expect(wire.closedWith).toBeUndefined();
    expect(wires).toHaveLength(1);
  });

  it('subscribes after the next `authenticated` to what came too late for the token', () => {
    const { tokens, record, wire, pass } = setUp();
    tokens.push('t1', 't2');
    wire.welcome('required');
    wire.tell({ type: 'authenticated', id: 1, subject: 'u', expiresInMs: 0 });
    const late = wire.asked!;
    const error = { type: 'error', code: 'token_expired', message: '', retryable: false };
    wire.tell({ ...error, id: late.id });
    pass(60_000);
    expect(wire.asked).toBe(late);
    wire.tell({ type: 'expiring', expiresInMs: 0, graceMs: 500 });
    wire.tell({ type: 'authenticated', id: wire.sent.at(-1)?.id, subject: 'u', expiresInMs: 9 });
    expect(wire.asked).not.toBe(late);
    expect(record.gaveUps).toEqual([]);
  });

  it('sends a token again that could not be verified', () => {
    const { tokens, wire, pass } = setUp();
    tokens.push('t1');
    wire.welcome('required');
    const error = { type: 'error', code: 'rate_limited', message: '', retryable: true };
    wire.tell({ ...error, id: 1, retryAfterMs: 1_000 });
    pass(1_000);
    expect(wire.sent.at(-1)).toMatchObject({ type: 'auth', token: 't1' });
    expect(wire.sent).toHaveLength(2);
  });

  it('reconnects with a new token after 4402, and with the same one after a break', () => {
    const { tokens, wires, pass } = setUp();
    tokens.push('t1', 't2');
    for (const [code, token] of [
      [undefined, 't1'],
      [4402, 't1'],
      [undefined, 't2'],
    ] as const) {
      const wire = wires.at(-1)!;
      wire.welcome('required');
      expect(wire.sent).toMatchObject([{ token }]);
      wire.tell({ type: 'authenticated', id: 1, subject: 'u', expiresInMs: 1_000 });
      wire.events.closed(code);
      pass(code === undefined ? SPREAD_MS : 1_000);
    }
    expect(wires).toHaveLength(4);
  });

  it('stops when two tokens were refused, and not when it had none to send', () => {
    const { tokens, record, wires, pass } = setUp();
    tokens.push(undefined, 't1', undefined, 't2');
    for (const isStopped of [false, false, false, true]) {
      const wire = wires.at(-1)!;
      wire.welcome('required');
      wire.events.closed(4401);
      pass(30_000);
      expect(record.hasStopped).toBe(isStopped);
    }
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
