import type { Position } from '@tradewind/protocol';
import type { Redis } from 'ioredis';
import { metaKey } from './channel-keys.ts';
import { readMeta } from './channel-meta.ts';
import {
  describeError,
  isErrorReply,
  RedisRefusedError,
  RedisUnavailableError,
} from './redis-errors.ts';
import { LINK_READS_IN_FLIGHT, POSITIONS_BATCH_KEYS } from './redis-limits.ts';
import type { RedisLink } from './redis-link.ts';
import { isInfoHidden, readServerIdentity } from './server-identity.ts';

/**
 * Reads over one link, whatever else travels on it, and settles what is under way when it is lost: ioredis
 * never does.
 */
export class LinkReader {
  readonly #link: RedisLink;
  readonly #underway = new Set<(error: Error) => void>();

  constructor(link: RedisLink) {
    this.#link = link;
  }

  /** See `RedisSubscriber.readPositions`. */
  async positions(channels: readonly string[]): Promise<readonly (Position | undefined)[]> {
    const positions: (Position | undefined)[] = [];
    for (let at = 0; at < channels.length; at += POSITIONS_BATCH_KEYS) {
      const keys = channels.slice(at, at + POSITIONS_BATCH_KEYS).map(metaKey);
      const values = await this.#read((redis) => redis.mget(...keys));
      for (const value of values) positions.push(readMeta(value));
    }
    return positions;
  }

  /** See `RedisSubscriber.serverIdentity`. */
  async serverIdentity(): Promise<string | undefined> {
    try {
      const server = this.#read((redis) => redis.info('server'));
      const replication = this.#read((redis) => redis.info('replication'));
      const [first, second] = await Promise.all([server, replication]);
      return readServerIdentity(first, second);
    } catch (error) {
      if (isInfoHidden(error)) return undefined;
      throw error;
    }
  }

  /** The link is lost. */
  abandon(cause: string): void {
    for (const reject of this.#underway) reject(new RedisUnavailableError('unknown', cause));
    this.#underway.clear();
  }

  #read<T>(send: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.#link.writable)
      return Promise.reject(new RedisUnavailableError('not-sent', 'Redis is not reachable'));
    if (this.#underway.size >= LINK_READS_IN_FLIGHT) {
      const reason = `${LINK_READS_IN_FLIGHT} reads are under way`;
      return Promise.reject(new RedisUnavailableError('not-sent', reason));
    }
    return new Promise((resolve, reject) => {
      this.#underway.add(reject);
      send(this.#link.redis)
        .then(resolve, (error: unknown) => {
          const reason = describeError(error);
          const isRefused = isErrorReply(error);
          reject(
            isRefused
              ? new RedisRefusedError(reason)
              : new RedisUnavailableError('unknown', reason),
          );
        })
        .finally(() => this.#underway.delete(reject));
    });
  }
}
