import { RedisCommands, RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import { NotPublishedError, type PublishOptions, type SequencedPublisher } from './publisher.ts';

/** Publications in a channel's history: those of 10 s, even if one channel gets all of a scenario's. */
const HISTORY_SIZE = 20_000;
const HISTORY_TTL_MS = 300_000;
const IDEMPOTENCY_WINDOW_MS = 120_000;

export interface ScriptPublisherOptions {
  /** Publications in a channel's history. Default: more than any client can miss by a fault here. */
  readonly historySize?: number;
}

/**
 * Publishes by the publish script, over its own connection; waits for the first link, never for a later one. The caller
 * ends it.
 */
export function startScriptPublisher(
  url: string,
  { historySize = HISTORY_SIZE }: ScriptPublisherOptions = {},
): SequencedPublisher {
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
      const terms = {
        ...{ historySize, historyTtlMs: HISTORY_TTL_MS },
        idempotencyWindowMs: IDEMPOTENCY_WINDOW_MS,
      };
      try {
        return await commands.publishSequenced({ channel, payload, ...options, ...terms });
      } catch (error) {
        throw isCertain(error) ? new NotPublishedError((error as Error).message) : error;
      }
    },
    [Symbol.dispose]: () => void commands.stop(),
  };
}

/** Whether Redis certainly did not execute it. */
function isCertain(error: unknown): boolean {
  if (error instanceof RedisUnavailableError) return error.outcome === 'not-sent';
  return error instanceof RedisRefusedError;
}
