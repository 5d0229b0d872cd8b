import { startCalledChild } from './child-calls.ts';
import type {
  PublisherCalls,
  PublisherPlan,
  PublisherSample,
  PublisherTotals,
  PublishingRate,
} from './publisher-plan.ts';

const PUBLISHER_PROCESS = new URL('./publisher-process.ts', import.meta.url);

/**
 * Publishes on a schedule, in a process of its own that ends with it. The schedule does not wait
 * for anyone: what is late is sent late, and says when it was due.
 */
export interface Publisher extends AsyncDisposable {
  readonly pid: number;
  /** Begins to publish; after `stop` also again. */
  start(rate: PublishingRate): Promise<void>;
  sample(): Promise<PublisherSample>;
  /** Publishes no more; resolves when Redis has answered all. Rejects when it does not within 30 s. */
  stop(): Promise<PublisherTotals>;
}

/** Starts a publisher that is connected to Redis and publishes nothing yet. The caller ends it. */
export async function startPublisher(plan: PublisherPlan): Promise<Publisher> {
  await using stack = new AsyncDisposableStack();
  const child = stack.use(await startCalledChild<PublisherCalls>(PUBLISHER_PROCESS, plan.core));
  await child.call('connect', plan);
  const owned = stack.move();
  return {
    pid: child.pid,
    async start(rate) {
      await child.call('start', rate);
    },
    sample: () => child.call('sample', undefined),
    stop: () => child.call('stop', undefined),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
