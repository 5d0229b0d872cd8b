import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import {
  CHANNEL_KEY,
  copyChannel,
  isAhead,
  isSameChannel,
  readChannelState,
} from './channel-copy.ts';
import { askGoogleToken } from './google-token.ts';
import { connectRedis, hostsOf, mastersOf, type RedisClient } from './redis.ts';
import type { MigrateSettings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** Keys that one SCAN looks at, and commands that are in flight for them. */
const SCAN_COUNT = 500;

/** Channels that are copied side by side: with the largest pages 128 MiB are held. */
const CHANNELS_AT_ONCE = 8;

/** How long commands of publishers are counted before anything is copied, in ms. */
const WATCH_MS = 1_000;

/** The revocations of tokens: a sorted set of at most 10,000 texts. */
const REVOCATIONS_KEY = 'tw:revocations';

/** Channels that are named in a complaint; the others are counted. */
const MAX_NAMED = 10;

/** An idempotency key that ends sooner than this is not compared, in ms: it may have ended in between. */
const ENDING_MS = 10_000;

/** Channels that the report must mention: their number, and the names of some. */
interface Named {
  count: number;
  readonly names: string[];
}

/** What was copied, and what the comparison at the end found. */
interface Tally {
  channels: number;
  copied: number;
  publications: number;
  keys: number;
  revocations: number;
  /** Keys that are not ours, and nodes' own, which they write again. */
  leftAlone: number;
  readonly ahead: Named;
  readonly different: Named;
  differentKeys: number;
  /** Publications with a history that came to the source since before the copy. */
  publishedMeanwhile: number;
}

/**
 * Copies what publishers and edges have in one Redis to another one or to a Cluster, then compares both. Resolves with whether they are
 * equal. It may be repeated after any end: it writes what is missing.
 */
export async function migrateFromTerminal(
  settings: MigrateSettings,
  terminal: Terminal,
): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const token = () => askGoogleToken(terminal.environment.GCE_METADATA_HOST);
  const fromPassword = settings.fromGoogle ? await token() : settings.fromPassword;
  const toPassword = settings.toGoogle ? await token() : settings.toPassword;
  const source = stack.adopt(await connect(settings.from, fromPassword), (redis) =>
    redis.disconnect(),
  );
  const target = stack.adopt(await connect(settings.to, toPassword), (redis) => redis.disconnect());
  const before = await countPublishing(source);
  if (!settings.running) await refusePublishers(source, before);
  const tally: Tally = {
    ...{ channels: 0, copied: 0, publications: 0, keys: 0, revocations: 0, leftAlone: 0 },
    ...{ ahead: { count: 0, names: [] }, different: { count: 0, names: [] }, differentKeys: 0 },
    publishedMeanwhile: 0,
  };
  const { stopped } = terminal;
  await copyAll(source, target, tally, stopped);
  if (!stopped.aborted) await compareAll(source, target, tally, stopped);
  // A channel that was compared already may have got a publication since.
  const isEqualYet = tally.ahead.count + tally.different.count === 0;
  if (!stopped.aborted && isEqualYet) await comparePositions(source, target, tally, stopped);
  tally.publishedMeanwhile = Math.max(0, (await countPublishing(source)) - before);
  const differences =
    tally.ahead.count + tally.different.count + tally.differentKeys + tally.publishedMeanwhile;
  const isEqual = !stopped.aborted && differences === 0;
  report(tally, settings, isEqual, terminal);
  return isEqual;
}

/** Whether it is a Cluster is asked, so that one node of it suffices. */
async function connect(redisUrl: string, redisPassword: string | undefined): Promise<RedisClient> {
  const how = { redisUrl, redisPassword };
  const redis = await connectRedis({ ...how, isCluster: false });
  const info = await mastersOf(redis)[0]!.info('cluster');
  if (!info.includes('cluster_enabled:1') || mastersOf(redis)[0] !== redis) return redis;
  redis.disconnect();
  return await connectRedis({ ...how, isCluster: true });
}

/** Rejects if somebody publishes. Who publishes less than once a second is found at the end. */
async function refusePublishers(source: RedisClient, before: number): Promise<void> {
  await sleep(WATCH_MS);
  const count = (await countPublishing(source)) - before;
  if (count > 0)
    throw new Error(
      `publishers are running: ${count} publications came within ${WATCH_MS} ms. Pause them, or copy ahead with --running`,
    );
}

async function countPublishing(source: RedisClient): Promise<number> {
  const counts = await Promise.all(
    mastersOf(source).map(async (master) => {
      const info = await master.info('commandstats');
      // Each publication with a history appends one entry; nobody else does.
      return Number(/^cmdstat_xadd:calls=(\d+)/m.exec(info)?.[1] ?? 0);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function copyAll(
  source: RedisClient,
  target: RedisClient,
  tally: Tally,
  stopped: AbortSignal,
): Promise<void> {
  for (const master of mastersOf(source))
    for await (const keys of scan(master, stopped)) {
      const channels = channelsOf(keys, 'meta');
      const tokens = keys.filter((key) => CHANNEL_KEY.exec(key)?.[2]?.startsWith('once:'));
      await inTurns(channels, CHANNELS_AT_ONCE, async (channel) => {
        const copy = await copyChannel(source, target, channel);
        if (copy.kind === 'copied') tally.copied += 1;
      });
      await copyKeys(source, target, tokens);
      tally.leftAlone += keys.filter((key) => !CHANNEL_KEY.test(key)).length;
    }
  const revocations = await source.zrange(REVOCATIONS_KEY, '0', '-1', 'WITHSCORES');
  for (let i = 0; i < revocations.length; i += 2 * SCAN_COUNT) {
    const pairs = revocations.slice(i, i + 2 * SCAN_COUNT);
    const members: string[] = [];
    for (let j = 0; j < pairs.length; j += 2) members.push(pairs[j + 1]!, pairs[j]!);
    await target.zadd(REVOCATIONS_KEY, ...members);
  }
  tally.revocations = revocations.length / 2;
}

/** Copies idempotency keys with what is left of their windows. */
async function copyKeys(
  source: RedisClient,
  target: RedisClient,
  keys: readonly string[],
): Promise<void> {
  await Promise.all(
    keys.map(bytesOf).map(async (key) => {
      const [value, leftMs] = await Promise.all([source.get(key), source.pttl(key)]);
      if (value === null || leftMs === -2) return;
      if (leftMs === -1) await target.set(key, value);
      else await target.set(key, value, 'PX', Math.max(1, leftMs));
    }),
  );
}

async function compareAll(
  source: RedisClient,
  target: RedisClient,
  tally: Tally,
  stopped: AbortSignal,
): Promise<void> {
  for (const master of mastersOf(source))
    for await (const keys of scan(master, stopped)) {
      await inTurns(channelsOf(keys, 'meta'), CHANNELS_AT_ONCE, async (channel) => {
        const original = await readChannelState(source, channel);
        const copy = await readChannelState(target, channel);
        tally.channels += 1;
        tally.publications += copy.entries;
        if (original.meta === null || isSameChannel(original, copy)) return;
        name(isAhead(copy.meta, original.meta) ? tally.ahead : tally.different, channel);
      });
      const tokens = keys.filter((key) => CHANNEL_KEY.exec(key)?.[2]?.startsWith('once:'));
      tally.keys += tokens.length;
      await Promise.all(
        tokens.map(bytesOf).map(async (key) => {
          const [value, leftMs] = await Promise.all([source.get(key), source.pttl(key)]);
          if (value === null || (leftMs >= 0 && leftMs < ENDING_MS)) return;
          if ((await target.get(key)) !== value) tally.differentKeys += 1;
        }),
      );
    }
  if ((await target.zcard(REVOCATIONS_KEY)) < tally.revocations) tally.differentKeys += 1;
}

/** Compares all positions a second time: a publication without a history moves nothing else, and appends no entry. */
async function comparePositions(
  source: RedisClient,
  target: RedisClient,
  tally: Tally,
  stopped: AbortSignal,
): Promise<void> {
  const { ahead, different } = tally;
  for (const master of mastersOf(source))
    for await (const keys of scan(master, stopped)) {
      await Promise.all(
        channelsOf(keys, 'meta').map(async (channel) => {
          const key = `{${channel}}:meta`;
          const [original, copy] = await Promise.all([source.get(key), target.get(key)]);
          if (original === null || original === copy) return;
          name(isAhead(copy, original) ? ahead : different, channel);
        }),
      );
    }
}

function report(
  tally: Tally,
  { running, json, from, to }: MigrateSettings,
  isEqual: boolean,
  terminal: Terminal,
): void {
  const { channels, copied, publications, keys, revocations, leftAlone } = tally;
  const counts = { channels, copied, publications, keys, revocations, leftAlone };
  if (json)
    terminal.print(
      JSON.stringify({
        ...{ ...counts, ahead: tally.ahead, different: tally.different },
        differentKeys: tally.differentKeys,
        publishedMeanwhile: tally.publishedMeanwhile,
      }),
    );
  else
    terminal.print(
      `${hostsOf(from)} to ${hostsOf(to)}: ${channels} channels (${copied} of them written now), ${publications} publications of history, ` +
        `${keys} idempotency keys and ${revocations} revocations are ${isEqual ? 'equal' : 'compared'}; ${leftAlone} other keys were left alone`,
    );
  if (tally.ahead.count > 0)
    terminal.complain(
      `the target has publications of its own, and was not written: ${named(tally.ahead)}`,
    );
  if (tally.different.count + tally.differentKeys > 0)
    terminal.complain(
      `${tally.different.count} channels and ${tally.differentKeys} keys changed while they were copied: ${named(tally.different)}. ` +
        (running
          ? 'Pause publishers, and run it once more without --running'
          : 'Somebody still publishes to the source: pause it, and run this once more'),
    );
  else if (tally.publishedMeanwhile > 0)
    terminal.complain(
      `${tally.publishedMeanwhile} publications came to the source meanwhile, perhaps after their channels were compared. ` +
        'Pause publishers, and run it once more without --running',
    );
}

function name(channels: Named, channel: string): void {
  channels.count += 1;
  if (channels.names.length < MAX_NAMED) channels.names.push(channel);
}

function named({ count, names }: Named): string {
  const shown = names.join(', ');
  return count <= names.length ? shown : `${shown} and ${count - names.length} more`;
}

/** The channels whose key of this kind is among the keys. */
function channelsOf(keys: readonly string[], kind: 'meta'): string[] {
  return keys.flatMap((key) => {
    const [, channel, suffix] = CHANNEL_KEY.exec(key) ?? [];
    return channel !== undefined && suffix === kind ? [channel] : [];
  });
}

/** A caller's idempotency key is any bytes, so the names that {@link scan} gives have one character for each byte. */
function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'latin1');
}

/** All keys of one server, some at a time. A key may come twice. */
async function* scan(master: Redis, stopped: AbortSignal): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const [next, keys] = await master.scanBuffer(cursor, 'COUNT', SCAN_COUNT);
    cursor = next.toString();
    yield keys.map((key) => key.toString('latin1'));
  } while (cursor !== '0' && !stopped.aborted);
}

/** Runs a task for each item, at most `atOnce` at a time. */
async function inTurns<T>(
  items: readonly T[],
  atOnce: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const run = async (): Promise<void> => {
    for (const item of waiting) await task(item);
  };
  await Promise.all(Array.from({ length: atOnce }, run));
}
