import { setTimeout as sleep } from 'node:timers/promises';
import { PUBLISH_SCRIPT, publishArguments, publishKeys, readPublishReply } from '@tradewind/bus';
import { Redis } from 'ioredis';
import type { RedisAddress } from '../../support/redis/redis-topology.ts';
import type { PublishOptions, SequencedPublisher } from './publisher.ts';

/** Publications in a channel's history: those of 100 s at 50 a second. No client is away for as long. */
const HISTORY_SIZE = 5_000;
const HISTORY_TTL_MS = 600_000;

/** How long nodes may refuse one publication until it is rejected, in ms: longer than a planned failover. */
const ANSWER_DEADLINE_MS = 15_000;

/** How long a key is remembered, in ms: longer than one publication is offered. */
const IDEMPOTENCY_WINDOW_MS = 60_000;

/** The pause between two attempts on one node, in ms: a library needs longer to subscribe again. */
const REPEAT_MS = 1;

const RECONNECT_MS = 50;

/** Channels of one shard of a Redis Cluster, and the shard's master and replicas in any order. */
export interface Shard {
  readonly channels: readonly string[];
  readonly nodes: readonly RedisAddress[];
}

export interface ShardPublisher extends SequencedPublisher {
  /** Whether it is connected to all nodes. */
  readonly isConnected: boolean;
}

/**
 * Publishes by the script on whichever node of the shard takes it: it is connected to all of them, and repeats what a replica
 * refuses until one has answered. So it publishes on a new master before anybody can subscribe there. Each call must have an
 * idempotency key. Rejects with the refusals of all nodes. The caller ends it.
 */
export function startShardPublisher(shards: readonly Shard[]): ShardPublisher {
  const nodesOf = new Map<string, readonly Redis[]>();
  const all: Redis[] = [];
  for (const { channels, nodes } of shards) {
    const connected = nodes.map(connect);
    all.push(...connected);
    for (const channel of channels) nodesOf.set(channel, connected);
  }
  return {
    get isConnected() {
      return all.every(({ status }) => status === 'ready');
    },
    async publish(channel, payload, { idempotencyKey }: PublishOptions = {}) {
      const keys = publishKeys(channel);
      const terms = { historySize: HISTORY_SIZE, historyTtlMs: HISTORY_TTL_MS };
      const args = publishArguments(
        { channel, payload, ...terms, idempotencyKey, idempotencyWindowMs: IDEMPOTENCY_WINDOW_MS },
        true,
      );
      const deadline = performance.now() + ANSWER_DEADLINE_MS;
      let isAnswered = false;
      const offer = async (redis: Redis) => {
        let refusal: unknown;
        while (!isAnswered && performance.now() < deadline) {
          try {
            const reply = await redis.evalsha(PUBLISH_SCRIPT.sha, keys.length, ...keys, ...args);
            isAnswered = true;
            return readPublishReply(reply);
          } catch (error) {
            refusal = error;
            if (String(error).includes('NOSCRIPT')) loadScript(redis);
          }
          await sleep(REPEAT_MS);
        }
        throw refusal;
      };
      // The old master holds its call back until it is a replica, so nobody waits for its answer.
      return await Promise.any((nodesOf.get(channel) ?? []).map(offer));
    },
    [Symbol.dispose]() {
      for (const redis of all) redis.disconnect();
    },
  };
}

function connect({ host, port }: RedisAddress): Redis {
  const redis = new Redis({
    ...{ host, port, enableOfflineQueue: false },
    retryStrategy: () => RECONNECT_MS,
  });
  redis.on('error', () => {});
  redis.on('ready', () => loadScript(redis));
  return redis;
}

/** A replica takes it, too, so the first call after it has taken over needs no text. */
function loadScript(redis: Redis): void {
  redis.script('LOAD', PUBLISH_SCRIPT.text).catch(() => {});
}
