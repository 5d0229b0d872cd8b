import type { Position } from '@tradewind/protocol';
import type { ChainableCommander, Redis } from 'ioredis';
import { metaKey } from '../contract/channel-keys.ts';
import { META_READ_BYTES, readMeta } from '../contract/channel-meta.ts';
import type { RedisLink } from '../link/redis-link.ts';
import { isInfoHidden, readServerIdentity } from '../link/server-identity.ts';
import {
  describeError,
  isCommandForbidden,
  isErrorReply,
  RedisRefusedError,
  RedisUnavailableError,
} from '../redis-errors.ts';
import { LINK_READS_IN_FLIGHT, POSITIONS_BATCH_KEYS } from '../redis-limits.ts';
import { stateOfReply } from '../redis-states.ts';

/** Where a channel stands, or why Redis did not tell. A channel without history has no position. */
export type PositionOutcome = Position | undefined | RedisRefusedError;

/**
 * Reads over a link that is also used for subscriptions. It rejects every read in flight when the link is lost, because
 * ioredis never settles them.
 */
export class LinkReader {
  readonly #link: RedisLink;
  readonly #inFlight = new Set<(error: Error) => void>();
  /** Redis forbids GETRANGE, because the ACL is of an earlier release. Reset when the link is lost. */
  #readsWhole = false;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  /** See `RedisSubscriber.readPositions`. */
  async positions(channels: readonly string[]): Promise<readonly (Position | undefined)[]> {
    const positions: (Position | undefined)[] = [];
    for (let at = 0; at < channels.length; at += POSITIONS_BATCH_KEYS) {
      const keys = channels.slice(at, at + POSITIONS_BATCH_KEYS).map(metaKey);
      for (const value of await this.#metas(keys)) positions.push(readMeta(value));
    }
    return positions;
  }

  /** See `RedisSubscriber.readPositionsOrRefusals`. */
  async positionsOrRefusals(channels: readonly string[]): Promise<readonly PositionOutcome[]> {
    const outcomes: PositionOutcome[] = [];
    for (let at = 0; at < channels.length; at += POSITIONS_BATCH_KEYS) {
      const keys = channels.slice(at, at + POSITIONS_BATCH_KEYS).map(metaKey);
      const replies = await this.#read((redis) => readEach(redis, keys));
      for (const reply of replies)
        outcomes.push(reply instanceof RedisRefusedError ? reply : readMeta(reply));
    }
    return outcomes;
  }

  /**
   * Reads only as many bytes of each value as a position can have. Somebody who writes 100 MB into one `meta` then spoils
   * that channel and not the link, which Redis would end for a reply of that size.
   */
  async #metas(keys: readonly string[]): Promise<readonly (string | null)[]> {
    if (this.#readsWhole) return await this.#read((redis) => redis.mget(...keys));
    try {
      return await this.#read((redis) => readStarts(redis, keys));
    } catch (error) {
      if (!isCommandForbidden(error, 'getrange')) throw error;
      this.#readsWhole = true;
      return await this.#metas(keys);
    }
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

  /** Rejects every read in flight, because the link is lost. */
  abandon(cause: string): void {
    this.#readsWhole = false;
    for (const reject of this.#inFlight) reject(new RedisUnavailableError('unknown', cause));
    this.#inFlight.clear();
  }

  #read<T>(send: (redis: Redis) => Promise<T>): Promise<T> {
    if (!this.#link.writable)
      return Promise.reject(new RedisUnavailableError('not-sent', 'Redis is not reachable'));
    if (this.#inFlight.size >= LINK_READS_IN_FLIGHT) {
      const reason = `${LINK_READS_IN_FLIGHT} reads are in flight`;
      return Promise.reject(new RedisUnavailableError('not-sent', reason));
    }
    return new Promise((resolve, reject) => {
      this.#inFlight.add(reject);
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
        .finally(() => this.#inFlight.delete(reject));
    });
  }
}

/** Reads the keys in one round trip. A key of another type counts as missing; any other refusal rejects. */
async function readStarts(
  redis: Redis,
  keys: readonly string[],
): Promise<readonly (string | null)[]> {
  const results = (await startsOf(redis, keys).exec()) ?? [];
  return results.map(([error, value]) => {
    if (error === null) return value as string;
    if (stateOfReply(error.message).says === 'WRONGTYPE') return null;
    throw error;
  });
}

/** The same, with each refusal in its place. A connection that is lost rejects. */
async function readEach(
  redis: Redis,
  keys: readonly string[],
): Promise<readonly (string | null | RedisRefusedError)[]> {
  const results = (await startsOf(redis, keys).exec()) ?? [];
  return results.map(([error, value]) => {
    if (error === null) return value as string;
    if (!isErrorReply(error)) throw error;
    const refusal = new RedisRefusedError(describeError(error));
    return refusal.code === 'WRONGTYPE' ? null : refusal;
  });
}

function startsOf(redis: Redis, keys: readonly string[]): ChainableCommander {
  const pipeline = redis.pipeline();
  for (const key of keys) pipeline.getrange(key, 0, META_READ_BYTES - 1);
  return pipeline;
}
