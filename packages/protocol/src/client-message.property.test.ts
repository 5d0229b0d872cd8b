import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cases } from '../../../test/support/suite/length.ts';
import { isChannelName, isReservedChannel } from './channel.ts';
import { type ParsedClientMessage, parseClientMessage } from './client-message.ts';
import { ERROR_CODES } from './error-codes.ts';
import { LATEST_INTERVALS_MS } from './limits.ts';
import { isEpoch, isOffset } from './position.ts';

const anyText = fc.string({ unit: 'binary' });
const channelName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$/);
const openChannelName = channelName.filter((name) => !isReservedChannel(name));
const epoch = fc.stringMatching(/^[A-Za-z0-9]{1,16}$/);
const position = fc.record({ epoch, offset: fc.maxSafeNat() });
const latest = fc.record({ everyMs: fc.constantFrom(...LATEST_INTERVALS_MS) });
const shortText = fc.string({ unit: 'grapheme' }).filter((text) => Buffer.byteLength(text) <= 64);
const requestId = fc.oneof(fc.maxSafeInteger(), shortText);

/** Something of the right kind most of the time, and anything at all otherwise. */
function mostly<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 6, arbitrary }, { weight: 1, arbitrary: fc.jsonValue() });
}

const channelItem = fc.oneof(
  mostly(fc.oneof(channelName, anyText)),
  fc.record(
    {
      ...{ channel: mostly(channelName), since: mostly(position), history: mostly(fc.nat()) },
      latest: mostly(latest),
    },
    { requiredKeys: [] },
  ),
);

const nearMiss = fc.record(
  {
    type: mostly(fc.constantFrom('subscribe', 'unsubscribe', 'ping', 'auth')),
    id: mostly(requestId),
    channels: mostly(fc.array(channelItem, { minLength: 1, maxLength: 140, size: 'medium' })),
    token: mostly(anyText),
  },
  { requiredKeys: ['type'] },
);

/** A text with one piece of it replaced by another, as a broken client might send it. */
const damagedText = fc
  .tuple(nearMiss, fc.nat(), fc.nat(3), fc.string({ maxLength: 3 }))
  .map(([message, at, removed, inserted]) => {
    const text = JSON.stringify(message);
    const start = at % text.length;
    return text.slice(0, start) + inserted + text.slice(start + removed);
  });

function expectSound(parsed: ParsedClientMessage): void {
  if (!parsed.ok) {
    expect(ERROR_CODES).toHaveProperty(parsed.fault.code);
    expectSoundId(parsed.fault.id);
    return;
  }
  const { message } = parsed;
  expectSoundId(message.id);
  if (message.type === 'subscribe') {
    for (const { channel, since, history, latest } of message.channels) {
      expect(isChannelName(channel) && !isReservedChannel(channel)).toBe(true);
      expect(since === undefined || (isEpoch(since.epoch) && isOffset(since.offset))).toBe(true);
      expect(history === undefined || isOffset(history)).toBe(true);
      expect(latest === undefined || LATEST_INTERVALS_MS.includes(latest.everyMs)).toBe(true);
    }
    for (const { channel, code } of message.rejected) {
      expect(channel.length).toBeLessThanOrEqual(128);
      expect(ERROR_CODES).toHaveProperty(code);
    }
    const named = message.channels.length + message.rejected.length;
    expect(named >= 1 && named <= 128).toBe(true);
  }
  if (message.type === 'unsubscribe') expect(message.channels.every(isChannelName)).toBe(true);
  if (message.type === 'auth') expect(typeof message.token).toBe('string');
}

function expectSoundId(id: unknown): void {
  if (typeof id === 'string') expect(Buffer.byteLength(id)).toBeLessThanOrEqual(64);
  else expect(id === undefined || Number.isSafeInteger(id)).toBe(true);
}

it('never throws, whatever the text is', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, fc.json(), damagedText), (text) => {
      expectSound(parseClientMessage(text));
    }),
    cases(1_000),
  );
});

it('gives out nothing unchecked, however close to a request a message is', () => {
  fc.assert(
    fc.property(nearMiss, (message) => {
      expectSound(parseClientMessage(JSON.stringify(message)));
    }),
    cases(1_000),
  );
});

it('settles every channel of a subscribe exactly once, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(channelName, anyText), { minLength: 1 }), (names) => {
      const parsed = parseClientMessage(JSON.stringify({ type: 'subscribe', channels: names }));
      if (!parsed.ok || parsed.message.type !== 'subscribe') throw new Error('not a subscribe');
      const isOpen = (name: string) => isChannelName(name) && !isReservedChannel(name);
      const { channels, rejected } = parsed.message;
      expect(channels.map(({ channel }) => channel)).toEqual(names.filter(isOpen));
      expect(rejected.map(({ channel }) => channel)).toEqual(
        names.filter((name) => !isOpen(name)).map((name) => name.slice(0, 128)),
      );
    }),
  );
});

it('reads back every well-formed request as what was sent', () => {
  const channels = fc.array(
    fc.record({
      channel: openChannelName,
      since: fc.option(position, { nil: undefined }),
      history: fc.option(fc.maxSafeNat(), { nil: undefined }),
      latest: fc.option(latest, { nil: undefined }),
    }),
    { minLength: 1, maxLength: 128 },
  );
  const id = fc.option(requestId, { nil: undefined });
  const request = fc.oneof(
    fc.record({ type: fc.constant('ping'), id }),
    fc.record({ type: fc.constant('auth'), id, token: anyText }),
    fc.record({ type: fc.constant('subscribe'), id, channels, rejected: fc.constant([]) }),
    fc.record({
      type: fc.constant('unsubscribe'),
      id,
      channels: fc.array(channelName, { minLength: 1, maxLength: 128 }),
    }),
  );
  fc.assert(
    fc.property(request, (message) => {
      expect(parseClientMessage(JSON.stringify(message))).toEqual({ ok: true, message });
    }),
    cases(500),
  );
});
