/** A word of a command. */
export type RedisArgument = string | Buffer;

/** What is used of ioredis: a `Redis` or a `Cluster`. */
export interface IoredisLike {
  readonly status: string;
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

/** One of the ways to talk to Redis. Commands are sent in the order of the calls. */
export class RedisConnection {
  readonly #redis: PublisherRedis;
  /** Counts replacements, so that a failure of the connection before does not end the present one. */
  number = 0;

  constructor(redis: PublisherRedis) {
    this.#redis = redis;
  }

  /** Rejects as the caller's client does. */
  async send(words: readonly RedisArgument[]): Promise<unknown> {
    const redis = this.#redis;
    if (typeof redis === 'function') return await redis(words);
    if ('sendCommand' in redis && 'isReady' in redis) return await redis.sendCommand(words);
    return await redis.call(String(words[0]), words.slice(1));
  }

  /**
   * Ends a connection that works but leads to the wrong server, or is silent, so that the client makes another one. Does nothing
   * while the client is connecting anyway, or if it is not the present one.
   */
  replace(number: number): void {
    const redis = this.#redis;
    if (typeof redis === 'function' || number !== this.number) return;
    const isNodeRedis = 'isReady' in redis;
    if (!(isNodeRedis ? redis.isReady : redis.status === 'ready')) return;
    this.number += 1;
    if (!isNodeRedis) {
      redis.disconnect(true);
      return;
    }
    redis.destroy();
    // It goes on trying by its own strategy; a failure shows in the next command.
    redis.connect().catch(() => {});
  }
}
