import { MAX_CHANNEL_BYTES } from './limits.ts';

const CHANNEL_GRAMMAR = /^[A-Za-z0-9][A-Za-z0-9_.:/@-]*$/;

/** Names that begin so belong to Tradewind itself (probes, heartbeats) and are closed to clients. */
export const RESERVED_CHANNEL_PREFIX = 'tw:';

/**
 * Whether `name` is a channel: `[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}`, case-sensitive. The grammar
 * excludes glob characters and braces (a Redis key tag), quotes and control characters, so that a
 * name can stand unescaped in JSON, in a Redis key and in a log line.
 */
export function isChannelName(name: string): boolean {
  return name.length <= MAX_CHANNEL_BYTES && CHANNEL_GRAMMAR.test(name);
}

/** Whether `name` is reserved for Tradewind's own use. */
export function isReservedChannel(name: string): boolean {
  return name.startsWith(RESERVED_CHANNEL_PREFIX);
}
