import { describe, expect, it } from 'vitest';
import { createDialect, type DialectChoice } from './dialect.ts';

function converse(choice: DialectChoice, channels: readonly string[], answers: readonly string[]) {
  const said: string[] = [];
  const session = {
    channels,
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
