import {
  ClusterCommands,
  ClusterSubscriber,
  type Commands,
  RedisCommands,
  type RedisCommandsEvents,
  type RedisSettings,
  RedisSubscriber,
  type RedisSubscriberEvents,
} from '@tradewind/bus';
import { busSettings } from './redis-mode.ts';
import type { RedisPlace, TestRedis } from './test-redis.ts';

/** Commands to one Redis or to a cluster, and what they told. */
export interface StartedCommands {
  readonly commands: Commands;
  /** `available` once all masters are, `unavailable` once one no longer is. */
  readonly events: readonly string[];
  /** Whether the links to all masters are up. */
  isUp(): boolean;
}

/** Starts commands. The caller stops them. @param login `user:password@`, or nothing. */
export function startCommands(redis: RedisPlace, login = ''): StartedCommands {
  const events: string[] = [];
  const settings = busSettings(redis);
  const note = (event: string): void => {
    if (event !== events.at(-1)) events.push(event);
  };
  const told: RedisCommandsEvents = {
    available: () => {
      if (isUp()) note('available');
    },
    unavailable: () => note('unavailable'),
  };
  const url = settings.url.replace('redis://', `redis://${login}`);
  const commands =
    redis.cluster === undefined
      ? new RedisCommands({ ...settings, url }, told)
      : new ClusterCommands({ ...settings, url }, told);
  function isUp(): boolean {
    if (commands instanceof RedisCommands) return commands.available;
    const masters = [...commands.map.masters.keys()];
    return masters.length > 0 && masters.every((name) => commands.isAvailable(name));
  }
  commands.start();
  return { commands, events, isUp };
}

/** Subscriptions at one Redis or at a cluster. */
export type Subscriber = Pick<RedisSubscriber, 'linked' | 'start' | 'stop' | 'want' | 'unwant'>;

/** Events of a {@link Subscriber}. A cluster's links count as one: it is lost with the first shard, and restored with the last. */
export type SubscriberEvents = Pick<RedisSubscriberEvents, 'message' | 'subscribed' | 'refused'> & {
  /** These are subscribed no longer. */
  ended(isEnded: (channel: string) => boolean): void;
  lost(): void;
  restored(): void;
};

/** Makes subscriptions without a probe. The caller starts and stops them. */
export function createSubscriber(
  redis: TestRedis,
  { lost, restored, ended, ...events }: SubscriberEvents,
  changes: Partial<RedisSettings> = {},
): Subscriber {
  const settings = { ...busSettings(redis), ...changes };
  if (redis.cluster === undefined) {
    return new RedisSubscriber(settings, {
      ...events,
      linkLost() {
        ended(() => true);
        lost();
      },
      linkRestored: restored,
    });
  }
  const commands = new ClusterCommands(settings, { available() {}, unavailable() {} });
  const isLinked = () => subscriber.shards.length > 0 && subscriber.shardsDown.length === 0;
  let wasLinked = false;
  const subscriber = new ClusterSubscriber(settings, commands, {
    ...events,
    moved: (channels) => ended((channel) => channels.includes(channel)),
    shardAdded() {},
    shardRemoved() {},
    shardLost(shard) {
      ended((channel) => subscriber.shardOf(channel) === shard);
      if (wasLinked) lost();
      wasLinked = false;
    },
    shardRestored() {
      if (!wasLinked && isLinked()) restored();
      wasLinked = isLinked();
    },
  });
  return {
    get linked() {
      return isLinked();
    },
    start() {
      commands.start();
      subscriber.start();
    },
    async stop() {
      await subscriber.stop();
      await commands.stop();
    },
    want: (channel) => subscriber.want(channel),
    unwant: (channel) => subscriber.unwant(channel),
  };
}
