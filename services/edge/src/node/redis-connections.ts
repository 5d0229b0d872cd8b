import {
  ClusterCommands,
  ClusterSubscriber,
  type Commands,
  type ProbeOptions,
  RedisCommands,
  type RedisCommandsEvents,
  type RedisRefusedError,
  type RedisSettings,
  RedisSubscriber,
} from '@tradewind/bus';
import { type ChannelStore, createChannelStore, createClusterStore } from '../hub/channel-store.ts';
import type { Source } from '../hub/hub.ts';
import { ONLY_LINK } from '../hub/redis-links.ts';

/**
 * Hears what happens on the links to Redis. A link is named as in `RedisLinks`: in a cluster there is one for each shard. No
 * method may throw.
 */
export interface RedisListener {
  /** Called without its object, so that the subscriber can call it directly for each message. */
  readonly message: (channel: string, payload: Buffer) => void;
  subscribed(channels: readonly string[], link: string): void;
  refused(channel: string, error: RedisRefusedError): void;
  linkLost(cause: string, link: string): void;
  linkStillLost(cause: string): void;
  linkRestored(link: string): void;
  /** This and the next two are called only in a cluster; see `ClusterSubscriberEvents`. */
  linkAdded(link: string): void;
  linkRemoved(link: string): void;
  moved(channels: readonly string[]): void;
}

/** The name of the node's probe, and the callbacks that report it. */
export type ProbeReports = Pick<
  ProbeOptions,
  'name' | 'probeFailed' | 'probeRefused' | 'writesRefused' | 'writesAccepted'
>;

/** All connections of an edge to Redis. */
export interface RedisConnections {
  readonly source: Source;
  readonly store: ChannelStore;
  readonly commands: Commands;
  /** See `RedisSubscriber`. In a cluster, the value of the worst shard. */
  readonly probeAgeMs: number | undefined;
  readonly provenOnce: boolean;
  readonly probeRefusal: RedisRefusedError | undefined;
  /** Whether Redis answers commands although the subscription is down; in a cluster, on at least half of the shards. */
  readonly isCutOffAlone: boolean;
  start(): void;
  stop(): Promise<void>;
}

/**
 * Makes the connections that the settings name: two to one Redis, or two to each master of a cluster. The caller owns the result, and
 * must start and stop it.
 *
 * @param probe undefined if the subscriptions are not probed.
 */
export function connectRedis(
  settings: RedisSettings,
  listener: RedisListener,
  events: RedisCommandsEvents,
  probe: ProbeReports | undefined,
): RedisConnections {
  return settings.mode === 'cluster'
    ? connectCluster(settings, listener, events, probe)
    : connectOne(settings, listener, events, probe);
}

function connectOne(
  settings: RedisSettings,
  listener: RedisListener,
  events: RedisCommandsEvents,
  probe: ProbeReports | undefined,
): RedisConnections {
  const commands: RedisCommands = new RedisCommands(settings, events);
  const subscriber: RedisSubscriber = new RedisSubscriber(
    settings,
    {
      message: listener.message,
      subscribed: (channels) => listener.subscribed(channels, ONLY_LINK),
      refused: (channel, error) => listener.refused(channel, error),
      linkLost: (cause) => listener.linkLost(cause, ONLY_LINK),
      linkStillLost: (cause) => listener.linkStillLost(cause),
      linkRestored: () => listener.linkRestored(ONLY_LINK),
    },
    probe && {
      ...probe,
      heartbeat: (name, token) => commands.heartbeat(name, token),
      linksAgree: () => store.linksAgree(),
      strayed: () => commands.reconnect('the subscription leads to another server'),
    },
  );
  const store = createChannelStore(commands, subscriber);
  return {
    ...{ source: subscriber, store, commands },
    get probeAgeMs() {
      return subscriber.probeAgeMs;
    },
    get provenOnce() {
      return subscriber.provenOnce;
    },
    get probeRefusal() {
      return subscriber.probeRefusal;
    },
    get isCutOffAlone() {
      return !subscriber.linked && commands.available;
    },
    start() {
      subscriber.start();
      commands.start();
    },
    async stop() {
      await Promise.all([subscriber.stop(), commands.stop()]);
    },
  };
}

function connectCluster(
  settings: RedisSettings,
  listener: RedisListener,
  events: RedisCommandsEvents,
  probe: ProbeReports | undefined,
): RedisConnections {
  const commands = new ClusterCommands(settings, events);
  const subscriber = new ClusterSubscriber(
    settings,
    commands,
    {
      message: listener.message,
      subscribed: (channels, shard) => listener.subscribed(channels, shard),
      refused: (channel, error) => listener.refused(channel, error),
      moved: (channels) => listener.moved(channels),
      shardAdded: (shard) => listener.linkAdded(shard),
      shardRemoved: (shard) => listener.linkRemoved(shard),
      shardLost: (shard, cause) => listener.linkLost(`${shard}: ${cause}`, shard),
      shardStillLost: (shard, cause) => listener.linkStillLost(`${shard}: ${cause}`),
      shardRestored: (shard) => listener.linkRestored(shard),
    },
    probe,
  );
  return {
    source: {
      want: (channel) => subscriber.want(channel),
      unwant: (channel) => subscriber.unwant(channel),
      serverIdentity: (shard) => subscriber.serverIdentity(shard),
      linkOf: (channel) => subscriber.shardOf(channel),
    },
    store: createClusterStore(commands, subscriber),
    commands,
    get probeAgeMs() {
      return subscriber.probeAgeMs;
    },
    get provenOnce() {
      return probe === undefined || subscriber.provenOnce;
    },
    get probeRefusal() {
      return subscriber.probeRefusal;
    },
    get isCutOffAlone() {
      const cutOff = subscriber.shardsDown.filter((shard) => commands.isAvailable(shard));
      return cutOff.length > 0 && 2 * cutOff.length >= subscriber.shards.length;
    },
    start() {
      subscriber.start();
      commands.start();
    },
    async stop() {
      await subscriber.stop();
      await commands.stop();
    },
  };
}
