import { type Commands, hashSlot } from '@tradewind/bus';
import type { Publisher } from './publish.ts';

/** How much a channel's history keeps. */
export interface HistorySettings {
  /** Publications; 0: none. */
  readonly historySize: number;
  /** How long after the channel's last publication it is kept, in ms; 0: for ever. */
  readonly historyTtlMs: number;
}

/** Publishes by the script: with an offset, a history and an idempotency key. */
export function createRedisPublisher(
  redis: Pick<Commands, 'available' | 'isSlotServed' | 'shardOf' | 'publishSequenced'>,
  { historySize, historyTtlMs }: HistorySettings,
): Publisher {
  const { isSlotServed } = redis;
  return {
    get available() {
      return redis.available;
    },
    lanes: isSlotServed && {
      laneOf: hashSlot,
      isReachable: (slot) => isSlotServed.call(redis, slot),
      shardOf: (slot) => redis.shardOf?.(slot),
    },
    publish({ channel, payload, idempotencyKey }, { idempotencyWindowMs, notAfterMs }) {
      return redis.publishSequenced({
        channel,
        payload,
        historySize,
        historyTtlMs,
        ...(idempotencyWindowMs === 0 ? {} : { idempotencyKey }),
        idempotencyWindowMs,
        notAfterMs,
      });
    },
  };
}
