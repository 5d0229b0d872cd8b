import { describe, expect, it } from 'vitest';
import { channelNameFault, parseClientMessage } from './client-message.ts';
import { DEFAULT_MAX_MESSAGE_BYTES } from './limits.ts';

const LONGEST_NAME = 'a'.repeat(128);
const ZERO_TO_127 = Array.from({ length: 128 }, (_, n) => `c${n}`);

function parse(value: unknown) {
  return parseClientMessage(JSON.stringify(value));
}

function faultCode(value: unknown): string | undefined {
  const parsed = parse(value);
  return parsed.ok ? undefined : parsed.fault.code;
}

function rejections(channels: readonly unknown[]) {
  const parsed = parse({ type: 'subscribe', channels });
  return parsed.ok && parsed.message.type === 'subscribe' ? parsed.message.rejected : parsed;
}

function requested(channels: readonly unknown[]) {
  const parsed = parse({ type: 'subscribe', channels });
  return parsed.ok && parsed.message.type === 'subscribe' ? parsed.message.channels : parsed;
}

describe('parseClientMessage', () => {
  it('reads the four requests of the contract', () => {
    const since = { epoch: 'k3x9', offset: 118 };
    expect(parse({ type: 'auth', id: 0, token: 't' })).toEqual({
      ok: true,
      message: { type: 'auth', id: 0, token: 't' },
    });
    expect(
      parse({
        type: 'subscribe',
        id: 1,
        channels: [
          'BTC.trade',
          { channel: 'ETH.trade', since, history: 20 },
          { channel: 'SOL.trade', history: 0 },
        ],
      }),
    ).toEqual({
      ok: true,
      message: {
        type: 'subscribe',
        id: 1,
        channels: [
          { channel: 'BTC.trade', since: undefined, history: undefined },
          { channel: 'ETH.trade', since, history: 20 },
          { channel: 'SOL.trade', since: undefined, history: 0 },
        ],
        rejected: [],
      },
    });
    expect(parse({ type: 'unsubscribe', id: 'u', channels: ['BTC.trade'] })).toEqual({
      ok: true,
      message: { type: 'unsubscribe', id: 'u', channels: ['BTC.trade'] },
    });
    expect(parse({ type: 'ping' })).toEqual({ ok: true, message: { type: 'ping', id: undefined } });
  });

  it('reads how often the latest publication is wanted, and ignores what else stands beside it', () => {
    const wanted = [100, 250, 500, 1_000, 2_000].map((everyMs) => ({
      channel: `c${everyMs}`,
      latest: { everyMs, unknown: true },
    }));
    expect(requested(wanted)).toEqual(
      wanted.map(({ channel, latest: { everyMs } }) => ({ channel, latest: { everyMs } })),
    );
  });

  it.each([
    null,
    250,
    '250',
    [],
    {},
    { everyMs: null },
    { everyMs: '250' },
    { everyMs: [250] },
    { everyMs: 0 },
    { everyMs: -250 },
    { everyMs: 249 },
    { everyMs: 250.5 },
    { everyms: 250 },
  ])('rejects a channel with another `latest` than those of the contract: %j', (latest) => {
    expect(rejections([{ channel: 'a', latest }, 'b'])).toEqual([
      { channel: 'a', code: 'bad_latest' },
    ]);
    expect(requested([{ channel: 'a', latest }, 'b'])).toEqual([{ channel: 'b' }]);
  });

  it.each([
    ['bad_json', ''],
    ['bad_json', 'ping'],
    ['bad_json', '{"type":"ping"'],
    ['bad_json', '{"type":"ping"}{"type":"ping"}'],
    ['bad_json', '\ufeff{"type":"ping"}'],
    ['bad_json', '['.repeat(100_000)],
    ['bad_message', 'null'],
    ['bad_message', '7'],
    ['bad_message', '"ping"'],
    ['bad_message', '[{"type":"ping"}]'],
    ['unknown_type', '{}'],
    ['unknown_type', '{"type":"Ping"}'],
    ['unknown_type', '{"type":"constructor"}'],
    ['unknown_type', '{"type":["ping"]}'],
    ['bad_message', '{"type":"auth"}'],
    ['bad_message', '{"type":"auth","token":7}'],
    ['bad_message', '{"type":"subscribe"}'],
    ['bad_message', '{"type":"subscribe","channels":[]}'],
    ['bad_message', '{"type":"subscribe","channels":"BTC.trade"}'],
    ['bad_message', '{"type":"subscribe","channels":{"length":1,"0":"BTC.trade"}}'],
    ['bad_message', '{"type":"subscribe","channels":["a",7]}'],
    ['bad_message', '{"type":"subscribe","channels":["a",null]}'],
    ['bad_message', '{"type":"subscribe","channels":["a",["b"]]}'],
    ['bad_message', '{"type":"subscribe","channels":["a",{"name":"b"}]}'],
    ['bad_message', '{"type":"unsubscribe","channels":[]}'],
    ['bad_message', '{"type":"unsubscribe","channels":["a",{"channel":"b"}]}'],
  ])('answers %s to %.60s', (code, text) => {
    expect(parseClientMessage(text)).toMatchObject({ ok: false, fault: { code } });
  });

  it('takes a duplicated key the way that JSON.parse does: the last one counts', () => {
    expect(parseClientMessage('{"type":"nonsense","type":"ping"}').ok).toBe(true);
  });

  it('ignores fields that it does not know, at any depth', () => {
    const since = { epoch: 'k3x9', offset: 1 };
    const plain = { type: 'subscribe', id: 1, channels: [{ channel: 'a', since }] };
    const decorated = {
      ...plain,
      token: 7,
      extra: {},
      channels: [{ channel: 'a', since: { ...since, node: 'edge-7' }, priority: 'high' }],
    };
    expect(parse(decorated)).toEqual(parse(plain));
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    expect(parseClientMessage(`{"type":"ping","extra":${deep}}`).ok).toBe(true);
  });

  it('is not led astray by keys that name the prototype', () => {
    expect(parseClientMessage('{"__proto__":{"type":"ping"}}')).toMatchObject({
      fault: { code: 'unknown_type' },
    });
    expect(
      parseClientMessage(
        '{"type":"ping","__proto__":{"id":7,"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}',
      ),
    ).toEqual({ ok: true, message: { type: 'ping', id: undefined } });
    expect(
      parseClientMessage('{"type":"subscribe","channels":[{"__proto__":{"channel":"a"}}]}'),
    ).toMatchObject({ fault: { code: 'bad_message' } });
    expect('isAdmin' in {}).toBe(false);
  });
});

describe('a request id', () => {
  it.each([
    ['zero', 0],
    ['a negative integer', -1],
    ['2^53-1', 2 ** 53 - 1],
    ['-(2^53-1)', -(2 ** 53 - 1)],
    ['no characters', ''],
    ['64 bytes of ASCII', 'a'.repeat(64)],
    ['64 bytes of two-byte letters', 'é'.repeat(32)],
    ['64 bytes of emoji', '😀'.repeat(16)],
    ['half an emoji', '\ud83d'],
  ])('may be %s, and is given back as it came', (_what, id) => {
    expect(parse({ type: 'ping', id })).toEqual({ ok: true, message: { type: 'ping', id } });
  });

  it.each([
    ['65 bytes of ASCII', JSON.stringify('a'.repeat(65))],
    ['65 bytes in 33 characters', JSON.stringify(`a${'é'.repeat(32)}`)],
    ['65 bytes with emoji', JSON.stringify(`${'😀'.repeat(16)}a`)],
    ['2^53', '9007199254740992'],
    ['2^53+1, which a double cannot tell from 2^53', '9007199254740993'],
    ['a fraction', '1.5'],
    ['too large for a double', '1e999'],
    ['null', 'null'],
    ['a boolean', 'true'],
    ['a list', '[1]'],
    ['an object', '{}'],
  ])('may not be %s, and is not echoed then', (_what, id) => {
    expect(parseClientMessage(`{"type":"ping","id":${id}}`)).toMatchObject({
      ok: false,
      fault: { id: undefined, code: 'bad_id' },
    });
  });

  it('comes back with a fault that was found behind it', () => {
    expect(parse({ type: 'subscribe', id: 'x' })).toMatchObject({ fault: { id: 'x' } });
    expect(parse({ id: 7 })).toMatchObject({ fault: { id: 7, code: 'unknown_type' } });
  });
});

describe('the channels of a request', () => {
  it('number at most 128', () => {
    expect(requested(ZERO_TO_127)).toHaveLength(128);
    for (const type of ['subscribe', 'unsubscribe']) {
      expect(faultCode({ type, channels: ZERO_TO_127 })).toBeUndefined();
      expect(faultCode({ type, channels: [...ZERO_TO_127, 'c128'] })).toBe(
        'too_many_channels_per_request',
      );
    }
  });

  it('are rejected one by one, each with its own reason, without spoiling the others', () => {
    const channels = [
      'good',
      'bad channel',
      'tw:probe',
      { channel: 'x', since: { epoch: 'k3x9' } },
      { channel: 'y', since: { epoch: 'k3x9', offset: 1 }, history: -1 },
      { channel: 'also-good', history: 5 },
    ];
    expect(requested(channels)).toEqual([
      { channel: 'good', since: undefined, history: undefined },
      { channel: 'also-good', since: undefined, history: 5 },
    ]);
    expect(rejections(channels)).toEqual([
      { channel: 'bad channel', code: 'bad_channel' },
      { channel: 'tw:probe', code: 'reserved_channel' },
      { channel: 'x', code: 'bad_since' },
      { channel: 'y', code: 'bad_history' },
    ]);
  });

  it.each([
    null,
    true,
    118,
    'k3x9:118',
    [],
    {},
    { epoch: 'k3x9' },
    { offset: 118 },
    { epoch: '', offset: 118 },
    { epoch: 'k3x9\n', offset: 118 },
    { epoch: 'k3x9k3x9k3x9k3x9k', offset: 118 },
    { epoch: 9, offset: 118 },
    { epoch: 'k3x9', offset: '118' },
    { epoch: 'k3x9', offset: -1 },
    { epoch: 'k3x9', offset: 1.5 },
    { epoch: 'k3x9', offset: 2 ** 53 },
  ])('are rejected for the since %j', (since) => {
    expect(rejections([{ channel: 'a', since }])).toEqual([{ channel: 'a', code: 'bad_since' }]);
  });

  it.each([null, true, '20', -1, 0.5, 2 ** 53, [], {}])(
    'are rejected for the history %j',
    (history) => {
      expect(rejections([{ channel: 'a', history }])).toEqual([
        { channel: 'a', code: 'bad_history' },
      ]);
    },
  );

  it('are told by their first 128 characters when the name is too long', () => {
    expect(rejections([`${LONGEST_NAME}b`])).toEqual([
      { channel: LONGEST_NAME, code: 'bad_channel' },
    ]);
  });

  it('do not include a name that was cut: unsubscribing from a longer one leaves this one be', () => {
    expect(
      parse({ type: 'unsubscribe', channels: [`${LONGEST_NAME}b`, 'bad channel', 'good'] }),
    ).toEqual({ ok: true, message: { type: 'unsubscribe', id: undefined, channels: ['good'] } });
  });

  it('all fit into a message of the default size with the longest of everything', () => {
    const since = { epoch: 'ABCDEFGHIJ123456', offset: 2 ** 53 - 1 };
    const channels = ZERO_TO_127.map((name) => {
      return { channel: name.padEnd(128, 'a'), since, history: 1_000 };
    });
    const request = { type: 'subscribe', id: '\u0001'.repeat(64), channels };
    expect(JSON.stringify(request).length).toBeLessThan(DEFAULT_MAX_MESSAGE_BYTES);
    expect(requested(channels)).toHaveLength(128);
  });
});

describe('channelNameFault', () => {
  it.each([
    ['BTC.trade', undefined],
    ['tw:probe', 'reserved_channel'],
    ['tw: probe', 'bad_channel'],
    ['BTC.trade\n', 'bad_channel'],
  ])('%j: %s', (name, code) => {
    expect(channelNameFault(name)).toBe(code);
  });
});
