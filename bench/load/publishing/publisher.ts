import { startCalledChild } from '../processes/child-calls.ts';
import type {
  PublisherCalls,
  PublisherPlan,
  PublisherSample,
  PublisherTotals,
  PublishingRate,
} from './publisher-plan.ts';

const PUBLISHER_PROCESS = new URL('./publisher-process.ts', import.meta.url);

/**
 * Publishes on a schedule, in a process that ends with the disposal of the publisher. The schedule waits for nobody: a
 * late publication is sent late, and holds the time at which it was due.
 */
export interface Publisher extends AsyncDisposable {
  readonly pid: number;
  /** Begins to publish; also again after `stop`. */
  start(rate: PublishingRate): Promise<void>;
  sample(): Promise<PublisherSample>;
  /** Stops publishing; resolves after Redis has answered everything. Rejects if that takes more than 30 s. */
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
