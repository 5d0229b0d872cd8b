// A child process that subscribes with a library. Started by NaiveClusterSubscriber.start.
import { createCluster } from '@redis/client';
import { Cluster } from 'ioredis';
import { serveCalls } from '../../../bench/load/processes/child-calls.ts';
import type { RedisAddress } from '../../support/redis/redis-topology.ts';

/** The two clients of a Redis Cluster that programs in Node subscribe with. */
export type Library = 'ioredis' | 'node-redis';

/** A message as a library gives it: channel and text. */
export type LibraryMessage = readonly [string, string];

export type LibrarySubscriberCalls = {
  /** Answered once Redis has confirmed all channels. */
  subscribe: {
    argument: {
      readonly library: Library;
      readonly nodes: readonly RedisAddress[];
      readonly channels: readonly string[];
    };
    result: undefined;
  };
  /** What has come since the last call, in its order. */
  take: { argument: undefined; result: readonly LibraryMessage[] };
};

let messages: LibraryMessage[] = [];

const onMessage = (channel: string, message: string): void => {
  messages.push([channel, message]);
};

/** For each library what subscribes to one more channel; the options are those that sharded channels need. */
const SUBSCRIBE: Readonly<
  Record<Library, (nodes: readonly RedisAddress[]) => (channel: string) => Promise<unknown>>
> = {
  ioredis(nodes) {
    const startNodes = nodes.map(({ host, port }) => ({ host, port }));
    const cluster = new Cluster(startNodes, { shardedSubscribers: true });
    cluster.on('error', () => {});
    cluster.on('smessage', onMessage);
    return (channel) => cluster.ssubscribe(channel);
  },
  'node-redis'(nodes) {
    const rootNodes = nodes.map(({ host, port }) => ({ socket: { host, port } }));
    const cluster = createCluster({ rootNodes });
    cluster.on('error', () => {});
    const connected = cluster.connect();
    return async (channel) => {
      await connected;
      await cluster.sSubscribe(channel, (message) => onMessage(channel, message));
    };
  },
};

// node-redis rejects promises of its own that nobody holds. That would end the process, and it must go on to be judged.
process.on('unhandledRejection', () => {});

serveCalls<LibrarySubscriberCalls>({
  async subscribe({ library, nodes, channels }) {
    const subscribe = SUBSCRIBE[library](nodes);
    for (const channel of channels) await subscribe(channel);
  },
  take() {
    const taken = messages;
    messages = [];
    return taken;
  },
});
