import { connectRedis, countListeners, type RedisClient } from './redis.ts';
import type { ChannelSettings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** What Redis holds of a channel (docs/publishing.md). */
export interface ChannelFacts {
  readonly channel: string;
  /** Undefined if nothing was published with an offset. */
  readonly epoch: string | undefined;
  readonly offset: number | undefined;
  readonly history: {
    readonly publications: number;
    readonly first: number | undefined;
    readonly last: number | undefined;
    /** When the first and the last were published, in ms since 1970, by Redis' clock. */
    readonly firstAtMs: number | undefined;
    readonly lastAtMs: number | undefined;
    /** How long it is still kept, in ms; undefined: for ever, or there is none. */
    readonly keptForMs: number | undefined;
  };
  /** Connections that are subscribed: one for each node, and whoever else listens. */
  readonly listeners: number;
}

/** Prints what Redis holds of a channel. */
export async function describeChannel(
  settings: ChannelSettings,
  terminal: Terminal,
): Promise<void> {
  const { channel, json } = settings;
  const redis = await connectRedis(settings);
  try {
    const facts = await readChannel(redis, channel);
    if (json) return terminal.print(JSON.stringify(facts));
    const [seconds] = await redis.time();
    for (const line of linesOf(facts, Number(seconds) * 1_000)) terminal.print(line);
  } finally {
    redis.disconnect();
  }
}

/** Reads in one transaction, which only the user `admin` may do. */
export async function readChannel(redis: RedisClient, channel: string): Promise<ChannelFacts> {
  const log = `{${channel}}:log`;
  const replies = await redis
    .multi()
    .get(`{${channel}}:meta`)
    .xlen(log)
    .xrange(log, '-', '+', 'COUNT', 1)
    .xrevrange(log, '+', '-', 'COUNT', 1)
    .pttl(log)
    .exec()
    .catch((error: Error) => {
      throw refusalOf(error) ?? error;
    });
  const [meta, length, [first] = [], [last] = [], ttl] = (replies ?? []).map(([error, reply]) => {
    if (error !== null) throw error;
    return reply;
  }) as [string | null, number, Entry[], Entry[], number];
  const [epoch, offset] = meta?.split(':') ?? [];
  return {
    channel,
    epoch,
    offset: offset === undefined ? undefined : Number(offset),
    history: {
      publications: length,
      ...{ first: offsetOf(first), last: offsetOf(last) },
      ...{ firstAtMs: timeOf(first), lastAtMs: timeOf(last) },
      keptForMs: ttl < 0 ? undefined : ttl,
    },
    listeners: await countListeners(redis, channel),
  };
}

/** Redis discards a transaction for a command that it refused before: what it said of that one. */
function refusalOf(error: Error): Error | undefined {
  const [refused] = (error as { previousErrors?: readonly Error[] }).previousErrors ?? [];
  if (refused === undefined) return undefined;
  const hint = refused.message.startsWith('NOPERM') ? '. This command needs the user `admin`' : '';
  return new Error(`${refused.message}${hint}`);
}

/** An entry of the log: its id `<offset>-0`, and the fields `t` and `p`. */
type Entry = readonly [id: string, fields: readonly string[]];

function offsetOf(entry: Entry | undefined): number | undefined {
  return entry === undefined ? undefined : Number.parseInt(entry[0], 10);
}

function timeOf(entry: Entry | undefined): number | undefined {
  return entry === undefined ? undefined : Number(entry[1][1]);
}

function linesOf(facts: ChannelFacts, nowMs: number): string[] {
  const { epoch, offset, history, listeners } = facts;
  const { publications, first, last, firstAtMs = nowMs, lastAtMs = nowMs, keptForMs } = history;
  const kept = keptForMs === undefined ? 'for ever' : `for ${duration(keptForMs)} more`;
  return [
    facts.channel,
    `  epoch    ${epoch ?? 'none: nothing was published with an offset'}`,
    `  offset   ${offset ?? 'none'}`,
    publications === 0
      ? '  history  none'
      : `  history  ${publications} publications, offsets ${first} to ${last}, ` +
        `${duration(nowMs - lastAtMs)} to ${duration(nowMs - firstAtMs)} old, kept ${kept}`,
    `  nodes    ${listeners === 1 ? '1 listens' : `${listeners} listen`}`,
  ];
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
