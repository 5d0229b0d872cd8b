import type { Position } from '@tradewind/protocol';
import { RULES, type Rules } from './document-client-rules.ts';
import type { Channel } from './document-client-state.ts';

/**
 * An earlier rule of docs/protocol.md: the offset of `subscribed` counts at once. It loses publications that were about
 * to be replayed.
 */
export const AT_ONCE: Partial<Rules> = {
  recovered: { ...RULES.recovered, act: (_client, channel, answer) => takeBoth(channel, answer) },
  noReplay: { ...RULES.noReplay, act: (_client, channel, answer) => takeBoth(channel, answer) },
};

/**
 * An earlier rule of README: the epoch of the last `subscribed` or `resync`, with the offset of the last publication or
 * `gap`. It pairs a new epoch with an offset of the old one.
 */
export const MIXED: Partial<Rules> = {
  otherEpoch: {
    ...RULES.otherEpoch,
    act: (_client, channel, answer) => takeEpoch(channel, answer),
  },
  noReplay: { ...RULES.noReplay, act: () => {} },
  resync: { ...RULES.resync, act: (_client, channel, resync) => takeEpoch(channel, resync) },
};

/** The token that ended is sent again. */
export const OLD_TOKEN: Partial<Rules> = {
  newToken: { ...RULES.newToken, act: () => {} },
};

function takeBoth(channel: Channel, { epoch, offset }: Partial<Position>): void {
  channel.epoch = epoch;
  channel.offset = offset;
}

function takeEpoch(channel: Channel, { epoch }: Partial<Position>): void {
  channel.epoch = epoch;
}
