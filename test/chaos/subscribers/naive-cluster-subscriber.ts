import { createCluster } from '@redis/client';
import { Cluster } from 'ioredis';
import type { RedisAddress } from '../../support/redis/redis-topology.ts';
import { eventually } from '../../support/wait.ts';
import type { Complaint } from '../oracle/complaint.ts';
import type { Ledger } from '../oracle/ledger.ts';
import { Oracle } from '../oracle/oracle.ts';

/** The two clients of a Redis Cluster that programs in Node subscribe with. */
export type Library = 'ioredis' | 'node-redis';

export const LIBRARIES: readonly Library[] = ['ioredis', 'node-redis'];

type OnMessage = (channel: string, message: string) => void;

interface LibrarySubscriber extends Disposable {
  subscribe(channel: string): Promise<unknown>;
}

/** What a library's subscriber did not get. */
export interface Missed {
  readonly library: Library;
  readonly complaints: readonly Complaint[];
  /** Publications that Redis has and the subscriber never got, from its first one of each channel on. */
  readonly publications: number;
}

const HEADER = /^@1:(\w+):(\d+):\d+;/;

/**
 * The control of each fault of a Redis Cluster: a client of a Cluster as its library ships it, subscribed to sharded channels, which
 * believes every message. It ends the client.
 */
export class NaiveClusterSubscriber implements Disposable {
  readonly library: Library;
  readonly oracle: Oracle;
  readonly #client: LibrarySubscriber;
  readonly #ledger: Ledger;
  /** Of each channel: its first offset, and how many came. */
  readonly #got = new Map<string, { readonly first: number; count: number }>();
  #seq = 0;
  #isFinished = false;

  private constructor(
    library: Library,
    nodes: readonly RedisAddress[],
    channels: readonly string[],
    ledger: Ledger,
  ) {
    this.library = library;
    this.#ledger = ledger;
    this.oracle = new Oracle(library, ledger);
    this.#client = CLIENTS[library](nodes, (channel, message) => this.#take(channel, message));
    this.oracle.connected();
    for (const channel of channels) this.oracle.asked(channel);
  }

  /** Resolves after something has come on each channel: publications must flow. The caller ends it. */
  static async start(
    library: Library,
    nodes: readonly RedisAddress[],
    channels: readonly string[],
    ledger: Ledger,
  ): Promise<NaiveClusterSubscriber> {
    const subscriber = new NaiveClusterSubscriber(library, nodes, channels, ledger);
    try {
      for (const channel of channels) await subscriber.#client.subscribe(channel);
      await eventually(() => subscriber.#got.size === channels.length);
    } catch (error) {
      subscriber[Symbol.dispose]();
      throw error;
    }
    return subscriber;
  }

  /** What it has missed so far. It listens no more. */
  finish(): Missed {
    this.#isFinished = true;
    let publications = 0;
    for (const [channel, { first, count }] of this.#got) {
      const last = this.#ledger.head(channel)?.offset ?? first;
      publications += Math.max(0, last - first + 1 - count);
    }
    return { library: this.library, complaints: this.oracle.finish(), publications };
  }

  [Symbol.dispose](): void {
    this.#isFinished = true;
    this.#client[Symbol.dispose]();
  }

  #take(channel: string, message: string): void {
    const [header = '', epoch = '', text = ''] = HEADER.exec(message) ?? [];
    if (header === '' || this.#isFinished) return;
    const offset = Number(text);
    const got = this.#got.get(channel);
    if (got !== undefined) got.count += 1;
    else {
      this.#got.set(channel, { first: offset, count: 1 });
      const position = { epoch, offset: offset - 1 };
      this.oracle.take({
        type: 'subscribed',
        channels: [{ channel, ref: 0, ...position }],
        done: true,
      });
    }
    const data = message.slice(header.length);
    this.#seq += 1;
    this.oracle.take({ type: undefined, seq: this.#seq, channel, data, offset });
  }
}

const CLIENTS: Readonly<
  Record<Library, (nodes: readonly RedisAddress[], onMessage: OnMessage) => LibrarySubscriber>
> = {
  ioredis(nodes, onMessage) {
    const startNodes = nodes.map(({ host, port }) => ({ host, port }));
    // Without the option it asks nodes for channels of other shards.
    const cluster = new Cluster(startNodes, { shardedSubscribers: true });
    cluster.on('error', () => {});
    cluster.on('smessage', onMessage);
    return {
      subscribe: (channel) => cluster.ssubscribe(channel),
      [Symbol.dispose]: () => cluster.disconnect(),
    };
  },
  'node-redis'(nodes, onMessage) {
    const rootNodes = nodes.map(({ host, port }) => ({ socket: { host, port } }));
    const cluster = createCluster({ rootNodes });
    cluster.on('error', () => {});
    const sSubscribe = cluster.sSubscribe.bind(cluster);
    // It subscribes again by this method and does not handle a rejection, which would end the test run.
    cluster.sSubscribe = (...args) => sSubscribe(...args).catch(() => {});
    const connected = cluster.connect();
    connected.catch(() => {});
    return {
      async subscribe(channel) {
        await connected;
        await sSubscribe(channel, (message) => onMessage(channel, message));
      },
      [Symbol.dispose]: () => cluster.destroy(),
    };
  },
};
