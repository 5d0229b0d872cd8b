import type { RedisClient } from './redis.ts';

/** Entries of a history in one read. With payloads of 64 KiB, the largest by default, 16 MiB. */
const PAGE_ENTRIES = 256;

/** A channel's keys share `{<channel>}`, whose braces are no part of a name. */
export const CHANNEL_KEY = /^\{([A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127})\}:(meta|log|once:.*)$/s;

/** What decides whether two copies of a channel are equal. */
export interface ChannelState {
  /** `<epoch>:<offset>`; null without one. */
  readonly meta: string | null;
  readonly entries: number;
  readonly firstId: string | undefined;
  readonly lastId: string | undefined;
  /** ms that the history is kept; -1: for ever; -2: there is none. */
  readonly logTtlMs: number;
}

/** What became of one channel. */
export type ChannelCopy =
  | { readonly kind: 'copied' | 'same'; readonly entries: number }
  /** The target has publications of its own, which a copy would take back. */
  | { readonly kind: 'ahead' };

/** Times by which two copies of an expiry may differ, in ms: what reading and writing them takes. */
const EXPIRY_TOLERANCE_MS = 10_000;

/** Sets a position to the second argument if it is the first one still; empty: if there is none. Returns whether it did. */
const SET_IF_UNCHANGED = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

/** Reads a channel's state at one moment. */
export async function readChannelState(redis: RedisClient, channel: string): Promise<ChannelState> {
  const log = `{${channel}}:log`;
  const replies = await redis
    .multi()
    .get(`{${channel}}:meta`)
    .xlen(log)
    .xrange(log, '-', '+', 'COUNT', 1)
    .xrevrange(log, '+', '-', 'COUNT', 1)
    .pttl(log)
    .exec();
  const values = (replies ?? []).map(([error, reply]) => {
    if (error !== null) throw error;
    return reply;
  });
  const [meta, entries, first, last, logTtlMs] = values as [
    string | null,
    number,
    [id: string][],
    [id: string][],
    number,
  ];
  return { meta, entries, firstId: first[0]?.[0], lastId: last[0]?.[0], logTtlMs };
}

/** Whether the copy has everything that the original has: position, history and its expiry. */
export function isSameChannel(original: ChannelState, copy: ChannelState): boolean {
  return original.meta === copy.meta && isSameLog(original, copy) && isSameExpiry(original, copy);
}

/**
 * Copies a channel: its history, then its position, so that a copy that was interrupted has no position and is taken up where it ended.
 * Of a channel that is there already it writes what is missing.
 */
export async function copyChannel(
  source: RedisClient,
  target: RedisClient,
  channel: string,
): Promise<ChannelCopy> {
  const original = await readChannelState(source, channel);
  const copy = await readChannelState(target, channel);
  const { meta, entries } = original;
  // It has gone since it was found.
  if (meta === null) return { kind: 'same', entries: 0 };
  if (isSameChannel(original, copy)) return { kind: 'same', entries };
  if (isAhead(copy.meta, meta)) return { kind: 'ahead' };
  const log = `{${channel}}:log`;
  if (!isSameLog(original, copy)) await copyLog(source, target, log, original, copy);
  if (original.logTtlMs >= 0) await target.pexpire(log, Math.max(1, original.logTtlMs));
  else if (original.logTtlMs === -1) await target.persist(log);
  // A publisher that has moved to the target already may have numbered a publication since the position was read.
  const isSet = await target.eval(SET_IF_UNCHANGED, 1, `{${channel}}:meta`, copy.meta ?? '', meta);
  return isSet === 1 ? { kind: 'copied', entries } : { kind: 'ahead' };
}

async function copyLog(
  source: RedisClient,
  target: RedisClient,
  log: string,
  original: ChannelState,
  copy: ChannelState,
): Promise<void> {
  // What begins like the original is the beginning of a copy, and goes on behind its last entry.
  const isBeginning = copy.entries > 0 && copy.firstId === original.firstId;
  if (isBeginning && (await copyEntries(source, target, log, `(${copy.lastId}`, original))) return;
  await target.del(log);
  await copyEntries(source, target, log, '-', original);
}

/** Appends the entries from `from` on. Resolves with whether the target has as many as the original then. */
async function copyEntries(
  source: RedisClient,
  target: RedisClient,
  log: string,
  from: string,
  { lastId, entries }: ChannelState,
): Promise<boolean> {
  if (lastId === undefined) return true;
  for (let next = from; ; ) {
    const page = await source.xrangeBuffer(log, next, lastId, 'COUNT', PAGE_ENTRIES);
    if (page.length === 0) break;
    const pipeline = target.pipeline();
    for (const [id, fields] of page) pipeline.call('xadd', log, id, ...fields);
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    next = `(${page.at(-1)![0].toString()}`;
  }
  return (await target.xlen(log)) === entries;
}

function isSameLog(original: ChannelState, copy: ChannelState): boolean {
  return (
    original.entries === copy.entries &&
    original.firstId === copy.firstId &&
    original.lastId === copy.lastId
  );
}

function isSameExpiry({ logTtlMs: original }: ChannelState, { logTtlMs: copy }: ChannelState) {
  if (original < 0 || copy < 0) return original === copy;
  return Math.abs(original - copy) <= EXPIRY_TOLERANCE_MS;
}

/** Whether a position has what another one has not: a later offset of the epoch, or a later epoch. */
export function isAhead(meta: string | null, of: string): boolean {
  if (meta === null) return false;
  const [epoch = '', offset] = meta.split(':');
  const [otherEpoch = '', otherOffset] = of.split(':');
  if (epoch === otherEpoch) return Number(offset) > Number(otherOffset);
  // An epoch is the time of its start in base 36.
  return epoch.length === otherEpoch.length ? epoch > otherEpoch : epoch.length > otherEpoch.length;
}
