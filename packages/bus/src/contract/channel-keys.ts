/**
 * The key of a channel's position: one string `<epoch>:<offset>`, without expiry. The braces put all keys of a channel into
 * one slot of a Redis Cluster; a channel's name holds no brace itself.
 */
export function metaKey(channel: string): string {
  return `{${channel}}:meta`;
}

/**
 * The key of a channel's history: a stream whose entry `<offset>-0` has the fields `t` (ms of Redis' clock) and `p` (the
 * payload). Its offsets have no hole from the first entry to the last.
 */
export function logKey(channel: string): string {
  return `{${channel}}:log`;
}

/** The key that holds the first answer to an idempotency key of a channel. */
export function onceKey(channel: string, idempotencyKey: string): string {
  return `{${channel}}:once:${idempotencyKey}`;
}

/** The key that an edge's heartbeat writes. It has no braces, so it shares no slot with its probe channel. */
export function heartbeatKey(name: string): string {
  return `tw:heartbeat:${name}`;
}

/** The channel on which an edge publishes its heartbeat. */
export function probeChannel(name: string): string {
  return `tw:probe:${name}`;
}
