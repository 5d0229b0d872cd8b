import type { Redis } from 'ioredis';
import {
  SHARD_SUBSCRIBE_BATCH_CHANNELS,
  SHARD_SUBSCRIBE_COMMANDS_IN_FLIGHT,
  SUBSCRIBE_BATCH_CHANNELS,
  SUBSCRIBE_COMMANDS_IN_FLIGHT,
} from '../redis-limits.ts';

/** What differs between classic and sharded publish/subscribe, as Redis' own `pubsubtype` has it. */
export interface PubSubKind {
  /** Resolves with the number of subscriptions that the connection has, as Redis reports. */
  subscribe(redis: Redis, channels: readonly string[]): Promise<unknown>;
  unsubscribe(redis: Redis, channels: readonly string[]): Promise<unknown>;
  /** The event of ioredis for a message, with channel and payload. */
  readonly message: 'messageBuffer' | 'smessageBuffer';
  readonly batchChannels: number;
  readonly commandsInFlight: number;
  /** The channels that the connection holds, by what Redis has told it. Undefined: Redis never ends one by itself. */
  held?(redis: Redis): ReadonlySet<string>;
}

export const CLASSIC: PubSubKind = {
  subscribe: (redis, channels) => redis.subscribe(...channels),
  unsubscribe: (redis, channels) => redis.unsubscribe(...channels),
  message: 'messageBuffer',
  batchChannels: SUBSCRIBE_BATCH_CHANNELS,
  commandsInFlight: SUBSCRIBE_COMMANDS_IN_FLIGHT,
};

/** On a node of a Redis Cluster. It ends the subscriptions of a slot that it loses, and says so by a push. */
export const SHARDED: PubSubKind = {
  subscribe: (redis, channels) => redis.ssubscribe(...channels),
  unsubscribe: (redis, channels) => redis.sunsubscribe(...channels),
  message: 'smessageBuffer',
  batchChannels: SHARD_SUBSCRIBE_BATCH_CHANNELS,
  commandsInFlight: SHARD_SUBSCRIBE_COMMANDS_IN_FLIGHT,
  held(redis) {
    const subscriber = redis.condition?.subscriber;
    return new Set(subscriber ? subscriber.channels('ssubscribe') : []);
  },
};
