import { deflateRawSync } from 'node:zlib';
import { encodeBinaryBody } from '@tradewind/protocol';
import { describe, expect, it } from 'vitest';
import { createDialect, type DialectChoice } from './dialect.ts';

function converse(choice: DialectChoice, channels: readonly string[], answers: readonly string[]) {
  const said: string[] = [];
  const session = {
    channels,
    node: '',
    send: (text: string) => said.push(text),
    subscribed: () => said.push('(subscribed)'),
    refused: (reason: string) => said.push(`(refused: ${reason})`),
    gap: (lost: number | undefined) => said.push(`(gap: ${lost})`),
    reconnect: () => said.push('(reconnect)'),
  };
  const dialect = createDialect(choice);
  dialect.opened(session);
  for (const answer of answers) dialect.control(answer, session);
  return said;
}

describe('the tradewind dialect', () => {
  it('subscribes in requests of 128 channels, and has subscribed after the last answer', () => {
    const channels = Array.from({ length: 130 }, (_, i) => `c${i}`);
    const said = converse({ kind: 'tradewind' }, channels, [
      '{"type":"welcome"}',
      '{"type":"subscribed","id":1,"channels":[],"done":true}',
      '{"type":"subscribed","id":"last","channels":[],"done":false}',
      '{"type":"subscribed","id":"last","channels":[],"done":true}',
    ]);
    const requests = said.slice(0, 2).map((text) => JSON.parse(text));
    expect(requests.flatMap((request) => request.channels)).toEqual(channels);
    expect(said.slice(2)).toEqual(['(subscribed)']);
  });

  it('says who it is before it subscribes, each connection by the next token', () => {
    const said: string[] = [];
    const session = {
      channels: ['a'],
      node: '',
      send: (text: string) => said.push(text),
      subscribed: () => said.push('(subscribed)'),
      refused: (reason: string) => said.push(`(refused: ${reason})`),
      gap: () => {},
      reconnect: () => {},
    };
    const dialect = createDialect({ kind: 'tradewind', tokens: ['one', 'two'] });
    for (let connection = 0; connection < 3; connection += 1) dialect.opened(session);
    expect(said.splice(0).map((text) => JSON.parse(text))).toEqual(
      ['one', 'two', 'one'].map((token) => ({ type: 'auth', token })),
    );
    dialect.control('{"type":"welcome","auth":"required"}', session);
    dialect.control('{"type":"authenticated","subject":"u","expiresInMs":1}', session);
    expect(JSON.parse(said.shift() ?? '')).toMatchObject({ type: 'subscribe', channels: ['a'] });
    dialect.control('{"type":"subscribed","id":"last","channels":[],"done":true}', session);
    dialect.control('{"type":"error","code":"unauthorized"}', session);
    expect(said).toEqual(['(subscribed)', '(refused: unauthorized)']);
  });

  it('reports refusals, losses and reconnect notices', () => {
    const said = converse(
      { kind: 'tradewind' },
      ['a'],
      [
        '{"type":"subscribed","id":"last","channels":[],"rejected":[{"channel":"a","code":"unavailable"}],"done":true}',
        '{"type":"error","code":"too_many_channels","message":"…"}',
        '{"type":"gap","channel":"a","lost":8,"reason":"slow"}',
        '{"type":"gap","channel":"a","reason":"link"}',
        '{"type":"reconnect","afterMs":1,"deadlineMs":2,"reason":"draining"}',
        '{"type":"something new"}',
      ],
    );
    expect(said.slice(1)).toEqual([
      '(refused: unavailable)',
      '(refused: too_many_channels)',
      '(gap: 8)',
      '(gap: undefined)',
      '(reconnect)',
    ]);
  });
});

describe('the plain dialect', () => {
  it('sends its message with the channels in it', () => {
    const plain = { kind: 'plain', subscribe: '{"c":$CHANNELS}', acknowledgement: 'OK' } as const;
    expect(converse(plain, ['a$&b', 'c'], [])).toEqual(['{"c":["a$&b","c"]}']);
    expect(converse(plain, ['a'], ['OK']).slice(1)).toEqual(['(subscribed)']);
    const unconfirmed = { ...plain, acknowledgement: undefined };
    expect(converse(unconfirmed, ['a'], []).slice(1)).toEqual(['(subscribed)']);
  });
});

describe('the socket.io dialect', () => {
  it('opens, connects, subscribes with an acknowledgement, and answers pings', () => {
    const answers = ['0{"sid":"x","pingInterval":25000}', '40{"sid":"y"}', '430[]', '2'];
    expect(converse({ kind: 'socket.io' }, ['a', 'b'], answers)).toEqual([
      '40',
      '420["subscribe",["a","b"]]',
      '(subscribed)',
      '3',
    ]);
    expect(converse({ kind: 'socket.io' }, ['a'], ['44{"message":"no"}'])).toEqual([
      '(refused: socket.io 44)',
    ]);
  });
});

describe('the tradewind dialect with binary frames', () => {
  const session = {
    ...{ channels: ['a'], node: '' },
    ...{ send() {}, subscribed() {}, refused() {}, gap() {}, reconnect() {} },
  };

  it('reads numbers of all widths', () => {
    const { shape, subprotocol } = createDialect({
      kind: 'tradewind',
      subprotocol: 'tradewind.v2',
    });
    expect(subprotocol).toBe('tradewind.v2');
    const read = (...bytes: number[]) => shape.readBinary?.(Buffer.from(bytes), 0, bytes.length);
    expect(read(1, 9, 9)).toBe(1);
    expect(read(0x80, 1, 9)).toBe(128);
    expect(read(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 9)).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('reads the time in a payload: raw, deflated, and cut off', () => {
    const dialect = createDialect({ kind: 'tradewind', subprotocol: 'tradewind.v2' });
    const data = `{"t":1795416898000000,"p":"${'x'.repeat(600)}"}`;
    const payload = Buffer.from(data.replace('8000000', '8073123'));
    const frame = (reference?: number, dictionary?: Buffer) => {
      const options = dictionary === undefined ? {} : { dictionary };
      const bytes = reference === undefined ? payload : deflateRawSync(payload, options);
      const body = encodeBinaryBody({ ref: 7, offset: 0, time: 0, payload: bytes, reference });
      return Buffer.concat([Buffer.of(1), body]).subarray(0, 320);
    };
    dialect.control('{"type":"welcome","node":"edge-1"}', session);
    expect(dialect.decode?.(frame(3), session), 'nobody told it').toBeUndefined();
    dialect.control(JSON.stringify({ type: 'reference', ref: 7, id: 3, data }), session);
    for (const bytes of [frame(), frame(0), frame(3, Buffer.from(data))]) {
      expect(String(dialect.decode?.(bytes, session))).toContain('"t":1795416898073123');
    }
    expect(dialect.decode?.(frame(3), { ...session, node: 'edge-2' })).toBeUndefined();
  });
});
