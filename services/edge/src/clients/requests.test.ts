import { PublicationLog } from '@tradewind/fanout';
import type { ErrorCode } from '@tradewind/protocol';
import type { Rate } from '@tradewind/runtime';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cases } from '../../../../test/support/suite/length.ts';
import { LimitGuard, type LimitName } from '../limits.ts';
import { Membership } from './membership/membership.ts';
import { Requests } from './requests.ts';
import { Subscriptions } from './subscriptions/subscriptions.ts';
import { FakeUpstream, listenerOf } from './testing/fake-upstream.ts';
import { createTestConnection, type TestConnection } from './testing/test-connection.ts';

const PLENTY: Rate = { perSecond: 1, burst: 1_000_000 };

describe('Requests', () => {
  it('answers a ping with its id and the time', () => {
    const { ask, client } = setUp();
    ask('{"type":"ping","id":"é"}');
    ask('{"type":"ping"}');
    expect(client.sent()).toEqual([
      { type: 'pong', id: 'é', serverTime: expect.any(Number) },
      { type: 'pong', serverTime: expect.any(Number) },
    ]);
  });

  it('passes subscribe and unsubscribe on', () => {
    const { ask, upstream, client } = setUp();
    ask('{"type":"subscribe","id":1,"channels":["a"]}');
    upstream.acknowledge();
    ask('{"type":"unsubscribe","id":2,"channels":["a"]}');
    expect(client.sent()).toMatchObject([
      { type: 'subscribed', id: 1, done: true },
      { type: 'unsubscribed', id: 2 },
    ]);
    expect(upstream.calls).toEqual(['+a', '-a']);
  });

  const tooMany = JSON.stringify({ type: 'subscribe', id: 1, channels: Array(129).fill('a') });
  it.each([
    ['{"type":"ping"', undefined, 'bad_json'],
    ['', undefined, 'bad_json'],
    ['[1]', undefined, 'bad_message'],
    ['null', undefined, 'bad_message'],
    ['{"type":"ping","id":1.5}', undefined, 'bad_id'],
    [`{"type":"ping","id":"${'x'.repeat(65)}"}`, undefined, 'bad_id'],
    ['{"type":"shout","id":1}', 1, 'unknown_type'],
    ['{"id":1}', 1, 'unknown_type'],
    ['{"type":"subscribe","id":1}', 1, 'bad_message'],
    ['{"type":"subscribe","id":1,"channels":[]}', 1, 'bad_message'],
    ['{"type":"subscribe","id":1,"channels":[7]}', 1, 'bad_message'],
    ['{"type":"unsubscribe","id":1,"channels":"a"}', 1, 'bad_message'],
    [tooMany, 1, 'too_many_channels_per_request'],
    ['{"type":"auth","id":1}', 1, 'bad_message'],
    ['{"type":"auth","id":1,"token":"x"}', 1, 'not_available'],
  ] as const)('answers %.60s with id %s and %s', (text, id, code) => {
    const { ask, client, rejected, upstream } = setUp();
    ask(text);
    expect(client.sent()).toEqual([
      {
        type: 'error',
        ...(id === undefined ? {} : { id }),
        code,
        message: expect.any(String),
        retryable: false,
      },
    ]);
    expect(rejected).toEqual([code]);
    expect(upstream.calls).toEqual([]);
  });

  it('answers a binary frame with an error and continues', () => {
    const { requests, ask, client, rejected } = setUp();
    requests.handle(client.connection, Buffer.from('{"type":"ping"}'), true, 0);
    ask('{"type":"ping","id":1}');
    expect(client.sent()).toMatchObject([
      { type: 'error', code: 'not_available' },
      { type: 'pong', id: 1 },
    ]);
    expect(rejected).toEqual(['not_available']);
  });

  it('answers whatever is sent, and never throws', () => {
    const fields = fc.record(
      {
        type: fc.oneof(fc.constantFrom('subscribe', 'unsubscribe', 'ping', 'auth'), fc.jsonValue()),
        id: fc.jsonValue(),
        channels: fc.oneof(fc.array(fc.jsonValue()), fc.jsonValue()),
        token: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const payload = fc.oneof(
      fields.map((value) => Buffer.from(JSON.stringify(value))),
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(payload, (data) => {
        const { requests, client, upstream } = setUp();
        requests.handle(client.connection, data, false, 0);
        upstream.acknowledge();
        expect(client.sent().length).toBeGreaterThan(0);
      }),
      cases(2_000),
    );
  });
});

describe('Requests: unusual and allowed', () => {
  it('accepts names that every object has as channel names', () => {
    const { ask, client, upstream } = setUp();
    const names = ['constructor', 'toString', 'valueOf', 'hasOwnProperty'];
    ask(JSON.stringify({ type: 'subscribe', id: 1, channels: [...names, '__proto__'] }));
    upstream.acknowledge();
    ask(JSON.stringify({ type: 'unsubscribe', id: 2, channels: names }));
    const [rejected, subscribed, unsubscribed] = client.sent();
    expect(rejected).toMatchObject({ rejected: [{ channel: '__proto__', code: 'bad_channel' }] });
    expect(subscribed).toMatchObject({
      channels: names.map((channel) => ({ channel })),
      done: true,
    });
    expect(unsubscribed).toEqual({ type: 'unsubscribed', id: 2, channels: names });
    expect(upstream.wanted.size).toBe(0);
  });

  it.each([
    ['nested 15,000 deep', '['.repeat(15_000) + ']'.repeat(15_000), 'bad_message'],
    [
      'an id nested as deep',
      `{"type":"ping","id":${'['.repeat(15_000)}${']'.repeat(15_000)}}`,
      'bad_id',
    ],
    ['an id of 30,000 characters', `{"type":"ping","id":"${'é'.repeat(15_000)}"}`, 'bad_id'],
    ['a number beyond all', '{"type":"ping","id":1e999}', 'bad_id'],
    ['a number of 30,000 digits', `{"type":"ping","id":${'9'.repeat(30_000)}}`, 'bad_id'],
    ['a name twice', '{"type":"ping","type":"x"}', 'unknown_type'],
  ])('answers %s with its code', (_, text, code) => {
    const { ask, client } = setUp();
    ask(text);
    expect(client.sent()).toMatchObject([{ type: 'error', code }]);
  });
});

describe('Requests: the rate', () => {
  it('ignores requests beyond the rate, tells the wait, and answers again later', () => {
    const { ask, client, rejected } = setUp({ perSecond: 2, burst: 2 });
    for (const id of [1, 2, 3]) ask(`{"type":"ping","id":${id}}`);
    ask('{"type":"ping","id":4}', 500);
    expect(client.sent()).toMatchObject([
      { type: 'pong', id: 1 },
      { type: 'pong', id: 2 },
      { type: 'error', id: 3, code: 'rate_limited', retryable: true, retryAfterMs: 500 },
      { type: 'pong', id: 4 },
    ]);
    expect(rejected).toEqual(['rate_limited']);
  });

  it('closes the connection of a client that continues regardless', () => {
    const { ask, client } = setUp({ perSecond: 1, burst: 1 });
    for (let i = 0; i <= 200; i += 1) ask('{"type":"ping"}');
    expect(client.webSocket.closes).toEqual([]);
    ask('{"type":"ping"}');
    expect(client.webSocket.closes).toEqual([{ code: 4029, reason: 'rate_limited' }]);
  });

  it('carries out an unsubscribe beyond the rate, and counts it', () => {
    const { ask, client, upstream } = setUp({ perSecond: 1, burst: 1 });
    ask('{"type":"subscribe","id":1,"channels":["a"]}');
    upstream.acknowledge();
    for (let i = 0; i < 200; i += 1) ask('{"type":"unsubscribe","id":2,"channels":["a"]}');
    expect(upstream.wanted.size).toBe(0);
    expect(client.sent().slice(-1)).toEqual([{ type: 'unsubscribed', id: 2, channels: ['a'] }]);
    expect(client.webSocket.closes).toEqual([]);
    ask('{"type":"unsubscribe","id":3,"channels":["a"]}');
    expect(client.webSocket.closes).toEqual([{ code: 4029, reason: 'rate_limited' }]);
  });

  it('writes the pending answers before it closes the connection', () => {
    const { ask, client } = setUp({ perSecond: 1, burst: 10 });
    for (let id = 1; id <= 600; id += 1) ask(`{"type":"ping","id":${id}}`);
    const sent = client.sent();
    expect(sent.filter(({ type }) => type === 'pong')).toHaveLength(10);
    const errors = sent.filter(({ type }) => type === 'error');
    expect(errors).toHaveLength(200);
    expect(errors[0]).toMatchObject({ id: 11, code: 'rate_limited' });
    expect(client.webSocket.closes).toEqual([{ code: 4029, reason: 'rate_limited' }]);
  });

  it('only counts requests beyond the rate where rates are not enforced', () => {
    const { ask, client, beyond } = setUp({ perSecond: 1, burst: 1 }, false);
    for (let i = 0; i < 600; i += 1) ask('{"type":"ping"}');
    expect(client.sent()).toHaveLength(600);
    expect(beyond).toEqual(Array(599).fill('requests'));
  });

  it('limits each client separately', () => {
    const { requests, ask, client } = setUp({ perSecond: 1, burst: 1 });
    const other = createTestConnection({ requestRate: { perSecond: 1, burst: 1 } });
    ask('{"type":"ping"}');
    ask('{"type":"ping"}');
    requests.handle(other.connection, Buffer.from('{"type":"ping"}'), false, 0);
    expect(client.sent().at(-1)).toMatchObject({ type: 'error' });
    expect(other.sent()).toMatchObject([{ type: 'pong' }]);
  });
});

describe('Requests: errors', () => {
  const JUNK = [
    '{',
    '{"type":"x"}',
    '{"type":"ping","id":{}}',
    '{"type":"subscribe","channels":["!!"]}',
  ];

  it.each(JUNK)('closes the connection with the twentieth within five seconds: %s', (junk) => {
    const { ask, client, beyond } = setUp();
    for (let i = 1; i < 20; i += 1) ask(junk, i * 100);
    expect(client.webSocket.closes).toEqual([]);
    ask(junk, 4_999);
    expect(client.sent()).toHaveLength(20);
    expect(client.webSocket.closes).toEqual([{ code: 4029, reason: 'rate_limited' }]);
    expect(beyond).toEqual(['errors']);
  });

  it('lets a client make mistakes now and then', () => {
    const { ask, client, beyond } = setUp();
    for (let i = 0; i < 200; i += 1) ask('{', i * 300);
    expect(client.sent()).toHaveLength(200);
    expect(beyond).toEqual([]);
  });

  it('does not count correct requests, or those that the node refuses', () => {
    const { ask, client } = setUp();
    for (let i = 0; i < 30; i += 1) ask('{"type":"subscribe","channels":["!!","a"]}');
    for (let i = 0; i < 30; i += 1) ask('{"type":"ping"}');
    expect(client.webSocket.closes).toEqual([]);
  });

  it('only counts them where budgets are not enforced', () => {
    const { ask, client, beyond } = setUp(PLENTY, false);
    for (let i = 0; i < 100; i += 1) ask('{');
    expect(client.sent()).toHaveLength(100);
    expect(beyond).toEqual(Array(81).fill('errors'));
  });
});

function setUp(requestRate: Rate = PLENTY, enforcesRates = true) {
  const beyond: LimitName[] = [];
  const guard = new LimitGuard(enforcesRates, (limit) => beyond.push(limit));
  const upstream = new FakeUpstream();
  const subscriptions = new Subscriptions(
    new Membership(),
    { heldBackOf: () => undefined },
    {
      maxChannelsPerClient: 1_000,
      maxHistory: 1_000,
      replayRate: { perSecond: 1, burst: 1_000_000_000 },
    },
    new PublicationLog(1_000_000),
    upstream,
    () => {},
    guard,
  );
  upstream.connect(listenerOf(subscriptions));
  subscriptions.cutOff = 'none';
  const rejected: ErrorCode[] = [];
  const requests = new Requests(subscriptions, (code) => rejected.push(code), guard, 20);
  const client: TestConnection = createTestConnection({ requestRate });
  return {
    requests,
    upstream,
    rejected,
    beyond,
    client,
    ask: (text: string, now = 0) =>
      requests.handle(client.connection, Buffer.from(text), false, now),
  };
}
