import { MAX_CHANNEL_BYTES } from './limits.ts';

const CHANNEL_GRAMMAR = /^[A-Za-z0-9][A-Za-z0-9_.:/@-]*$/;

/** Names with this prefix belong to Tradewind itself (probes, heartbeats). Clients cannot use them. */
const RESERVED_CHANNEL_PREFIX = 'tw:';

/**
 * Whether `name` is a channel: `[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}`, case-sensitive. The grammar excludes glob
 * characters, braces (a Redis key tag), quotes and control characters, so a name needs no escaping in JSON, in a
 * Redis key or in a log line.
 */
export function isChannelName(name: string): boolean {
  return name.length <= MAX_CHANNEL_BYTES && CHANNEL_GRAMMAR.test(name);
}

/** Whether `name` has the {@link RESERVED_CHANNEL_PREFIX}. */
export function isReservedChannel(name: string): boolean {
  return name.startsWith(RESERVED_CHANNEL_PREFIX);
}
