import { slotOf } from './cluster-slot.ts';

/** A word of a command. */
export type RedisArgument = string | Buffer;

/** What is used of ioredis: a `Redis` or a `Cluster`. */
export interface IoredisLike {
  readonly status: string;
  /** True for a `Cluster`. */
  readonly isCluster?: boolean;
  call(command: string, args: RedisArgument[]): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
}

/** What is used of a client of node-redis 5. Its owner has connected it. */
export interface NodeRedisLike {
  readonly isReady: boolean;
  sendCommand(args: readonly RedisArgument[]): Promise<unknown>;
  destroy(): void;
  connect(): Promise<unknown>;
}

/**
 * Sends one command and resolves with its answer. For everything that is neither of the two: a cluster of node-redis,
 * `(words) => cluster.sendCommand(words[3], false, words)`, for instance. Its connection is never replaced from here.
 */
export type SendCommand = (words: readonly RedisArgument[]) => Promise<unknown>;

/** The caller's connection to Redis. It remains the caller's, who ends it. */
export type PublisherRedis = IoredisLike | NodeRedisLike | SendCommand;

/** What is used of a `Cluster` of ioredis beside that. */
interface IoredisCluster extends IoredisLike {
  /** The nodes of each slot as `host:port`, its master first; empty before it is connected. */
  readonly slots: readonly (readonly string[] | undefined)[];
  nodes(role: 'master'): (IoredisLike & {
    readonly options: { readonly host?: string; readonly port?: number };
  })[];
  pipeline(): {
    call(command: string, ...args: RedisArgument[]): unknown;
    exec(): Promise<readonly (readonly [error: Error | null, reply?: unknown])[] | null>;
  };
}

/** Whose answers a call gets: one server, or the client itself if it does not tell which one. */
export interface Server {
  readonly client: PublisherRedis;
  /** The replacements of the client's connection when this was asked for. */
  readonly number: number;
}

/** One of the ways to talk to Redis. Commands are sent in the order of the calls. */
export class RedisConnection {
  readonly #redis: PublisherRedis;
  readonly #cluster: IoredisCluster | undefined;
  /** Counts replacements, so that a failure of the connection before does not end the present one. */
  #number = 0;

  constructor(redis: PublisherRedis) {
    this.#redis = redis;
    if ('isCluster' in redis && redis.isCluster === true) this.#cluster = redis as IoredisCluster;
  }

  /** Whether the client is known to be one of a Cluster. */
  get isCluster(): boolean {
    return this.#cluster !== undefined;
  }

  /** The server that executes a channel's commands now, as far as the client tells. */
  serverOf(channel: string): Server {
    return { client: this.#masterOf(channel) ?? this.#redis, number: this.#number };
  }

  /** Sends to one server, or wherever the client sends it. Rejects as the caller's client does. */
  async send(words: readonly RedisArgument[], client = this.#redis): Promise<unknown> {
    if (typeof client === 'function') return await client(words);
    if ('sendCommand' in client && 'isReady' in client) return await client.sendCommand(words);
    return await client.call(String(words[0]), words.slice(1));
  }

  /**
   * Sends commands of one channel, which are executed in this order. A Cluster of ioredis follows redirections by itself, each
   * command's alone, and so would change the order of those that meet a slot that moves: hence its pipeline, which follows one of all
   * commands or none. An answer that was not followed is told as `TRYAGAIN`.
   */
  sendInOrder(commands: readonly (readonly RedisArgument[])[]): Promise<unknown>[] {
    if (this.#cluster === undefined || commands.length === 1)
      return commands.map((words) => this.send(words));
    const pipeline = this.#cluster.pipeline();
    for (const [name, ...args] of commands) pipeline.call(String(name), ...args);
    const answers = pipeline.exec();
    return commands.map(async (_, index) => {
      const [error, reply] = (await answers)![index]!;
      if (error === null) return reply;
      throw /^(MOVED|ASK) /.test(error.message) ? new Error(`TRYAGAIN ${error.message}`) : error;
    });
  }

  /**
   * Ends a connection that works but leads to the wrong server, or is silent, so that the client makes another one. Of a Cluster it ends
   * the one to that server. Does nothing while the client is connecting anyway, or if it is not the present one.
   */
  replace({ client, number }: Server): void {
    if (typeof client === 'function' || number !== this.#number) return;
    const isNodeRedis = 'isReady' in client;
    if (!(isNodeRedis ? client.isReady : client.status === 'ready')) return;
    if (client === this.#redis) this.#number += 1;
    if (!isNodeRedis) {
      client.disconnect(true);
      return;
    }
    client.destroy();
    // It goes on trying by its own strategy; a failure shows in the next command.
    client.connect().catch(() => {});
  }

  #masterOf(channel: string): IoredisLike | undefined {
    const address = this.#cluster?.slots[slotOf(channel)]?.[0];
    if (address === undefined) return undefined;
    return this.#cluster!.nodes('master').find(
      ({ options: { host, port } }) => `${host}:${port}` === address,
    );
  }
}
