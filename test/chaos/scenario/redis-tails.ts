import { metaKey } from '@tradewind/bus';
import type { Position } from '@tradewind/protocol';
import type { Redis } from 'ioredis';

/** Keys in one MGET, so that no command delays Redis for long. */
const KEYS_PER_READ = 1_000;

/**
 * Reads the ends of channels in Redis directly from their `meta` (`<epoch>:<offset>`); channels without one are left
 * out. The product's code is not used, because it is compared with the result.
 */
export async function readTails(
  redis: Redis,
  channels: readonly string[],
): Promise<ReadonlyMap<string, Position>> {
  const tails = new Map<string, Position>();
  for (let at = 0; at < channels.length; at += KEYS_PER_READ) {
    const some = channels.slice(at, at + KEYS_PER_READ);
    const values = await redis.mget(...some.map(metaKey));
    for (const [i, value] of values.entries()) {
      if (value === null) continue;
      const [, epoch, offset] = /^([A-Za-z0-9]+):(\d+)$/.exec(value) ?? [];
      if (epoch === undefined) throw new Error(`${some[i]}: no position is ${value}`);
      tails.set(some[i]!, { epoch, offset: Number(offset) });
    }
  }
  return tails;
}
