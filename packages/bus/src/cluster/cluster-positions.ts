import type { Position } from '@tradewind/protocol';
import { metaKey } from '../contract/channel-keys.ts';
import { RedisUnavailableError } from '../redis-errors.ts';
import type { PositionOutcome } from '../subscribe/link-reader.ts';
import type { RedisSubscriber } from '../subscribe/redis-subscriber.ts';
import type { ClusterCommands } from './cluster-commands.ts';
import { hashSlot } from './hash-slot.ts';
import { readRedirect } from './redirect.ts';

/**
 * ioredis may take a push by which Redis ends a subscription for the reply to a SUNSUBSCRIBE. Every later reply then goes to the
 * command before its own. Only on a new link is each reply that of its command again.
 */
export const OUT_OF_STEP = 'a reply names the slot of another channel';

/** Where positions are read. */
export interface ShardReaders {
  readonly cluster: ClusterCommands;
  /** The shard on which a channel is wanted; undefined while it has none. */
  shardOf(channel: string): string | undefined;
  /** The subscriptions on a shard; undefined if its master has no slots any more. */
  subscriberOf(shard: string): RedisSubscriber | undefined;
}

/**
 * Reads the position of each channel by the connection of its subscription, or where its keys have gone. A failure stands in
 * the place of its channel.
 */
export async function readPositionsOfShards(
  channels: readonly string[],
  readers: ShardReaders,
): Promise<readonly (Position | Error | undefined)[]> {
  const outcomes = new Array<Position | Error | undefined>(channels.length).fill(undefined);
  const byShard = new Map<string | undefined, number[]>();
  for (const [index, channel] of channels.entries()) {
    const shard = readers.shardOf(channel);
    const indexes = byShard.get(shard);
    if (indexes === undefined) byShard.set(shard, [index]);
    else indexes.push(index);
  }
  await Promise.all(
    [...byShard].map(async ([shard, indexes]) => {
      const names = indexes.map((index) => channels[index] ?? '');
      const read = await readOn(shard, names, readers);
      for (const [at, index] of indexes.entries()) outcomes[index] = read[at];
    }),
  );
  return outcomes;
}

/** Whether a reply cannot be of this key: it says that another slot has moved. */
export function isOfAnotherSlot(key: string, outcome: PositionOutcome): boolean {
  const redirect = outcome instanceof Error ? readRedirect(outcome.message) : undefined;
  return redirect !== undefined && redirect.slot !== hashSlot(key);
}

async function readOn(
  shard: string | undefined,
  channels: readonly string[],
  { cluster, subscriberOf }: ShardReaders,
): Promise<readonly (Position | Error | undefined)[]> {
  const subscriber = shard === undefined ? undefined : subscriberOf(shard);
  if (subscriber === undefined)
    return channels.map(() => new RedisUnavailableError('not-sent', 'its slot has no master'));
  try {
    const outcomes = await subscriber.readPositionsOrRefusals(channels);
    if (channels.some((channel, i) => isOfAnotherSlot(metaKey(channel), outcomes[i]))) {
      subscriber.cut(OUT_OF_STEP);
      throw new RedisUnavailableError('unknown', OUT_OF_STEP);
    }
    return await Promise.all(
      outcomes.map((each, i) => followRedirect(channels[i] ?? '', each, cluster)),
    );
  } catch (error) {
    return channels.map(() => error as Error);
  }
}

async function followRedirect(
  channel: string,
  outcome: PositionOutcome,
  cluster: ClusterCommands,
): Promise<Position | Error | undefined> {
  if (!(outcome instanceof Error)) return outcome;
  const redirect = readRedirect(outcome.message);
  if (redirect === undefined) return outcome;
  if (redirect.kind === 'moved') {
    // It is read where it is subscribed to next.
    if (redirect.to.host !== '') cluster.map.moved(redirect.slot, redirect.to);
    return new RedisUnavailableError('not-sent', outcome.message);
  }
  return await cluster.readPosition(channel).catch((error: Error) => error);
}
