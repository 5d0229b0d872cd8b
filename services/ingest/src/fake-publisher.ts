import { RedisUnavailableError } from '@tradewind/bus';
import type { Publisher } from './publish.ts';

/** A publisher for tests: it keeps what it is given, and fails as it is told. */
export interface FakePublisher extends Publisher {
  /** What was accepted, in order, as `channel payload`. */
  readonly published: readonly string[];
  /** How often `publish` was called. */
  readonly calls: number;
  /** From the call with this number (from 1) on, this error is thrown. */
  failFrom(call: number, error: Error): void;
  /** From now on it says that it is not available, and every call throws so. */
  goDown(): void;
  /** Calls do not settle until the returned function is called. */
  hold(): () => void;
}

export function createFakePublisher(): FakePublisher {
  const published: string[] = [];
  let calls = 0;
  let failingFrom = Number.POSITIVE_INFINITY;
  let failure: Error = new RedisUnavailableError('not-sent', 'down');
  let held: Promise<void> | undefined;
  return {
    get available() {
      return failingFrom > 0;
    },
    published,
    get calls() {
      return calls;
    },
    failFrom(call, error) {
      failingFrom = call;
      failure = error;
    },
    goDown() {
      failingFrom = 0;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
    async publish(channel, payload) {
      calls += 1;
      if (calls >= failingFrom) throw failure;
      published.push(`${channel} ${Buffer.from(payload).toString('utf8')}`);
      await held;
      return 2;
    },
  };
}
