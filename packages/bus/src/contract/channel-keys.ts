/**
 * The key that holds where a channel is: one string `<epoch>:<offset>`, without expiry. The braces
 * put everything of a channel into one slot of a Redis Cluster; a channel's name holds none itself.
 */
export function metaKey(channel: string): string {
  return `{${channel}}:meta`;
}

/**
 * The key that holds a channel's history: a stream whose entry `<offset>-0` has the fields `t` (ms,
 * Redis' clock) and `p` (the payload). Without a hole from its first entry to its last.
 */
export function logKey(channel: string): string {
  return `{${channel}}:log`;
}

/** The key that remembers what was answered to an idempotency key of a channel. */
export function onceKey(channel: string, idempotencyKey: string): string {
  return `{${channel}}:once:${idempotencyKey}`;
}

/** The key that an edge's heartbeat writes. Other than a channel's keys it is in no slot of its own. */
export function heartbeatKey(name: string): string {
  return `tw:heartbeat:${name}`;
}

/** The channel that an edge's heartbeat is published to. */
export function probeChannel(name: string): string {
  return `tw:probe:${name}`;
}
