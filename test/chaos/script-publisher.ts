import { RedisCommands } from '@tradewind/bus';
import type { PublishOptions, SequencedPublisher } from './publisher.ts';

/** As many publications as a channel's history keeps here. */
const HISTORY_SIZE = 1_000;
const HISTORY_TTL_MS = 300_000;
const IDEMPOTENCY_WINDOW_MS = 120_000;

/**
 * Publishes by the publish script, over a connection of its own; waits for the first link, never for
 * a later one. The caller ends it.
 */
export function startScriptPublisher(url: string): SequencedPublisher {
  const linked = Promise.withResolvers<void>();
  const commands = new RedisCommands(
    {
      url,
      password: undefined,
      certificateAuthority: undefined,
      connectionName: 'tradewind-chaos',
    },
    { available: () => linked.resolve(), unavailable: () => {} },
  );
  commands.start();
  return {
    async publish(channel, payload, options: PublishOptions = {}) {
      await linked.promise;
      return await commands.publishSequenced({
        ...{ channel, payload, ...options },
        historySize: HISTORY_SIZE,
        historyTtlMs: HISTORY_TTL_MS,
        idempotencyWindowMs: IDEMPOTENCY_WINDOW_MS,
      });
    },
    [Symbol.dispose]: () => void commands.stop(),
  };
}
