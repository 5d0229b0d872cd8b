import { RedisUnavailableError } from '@tradewind/bus';
import type { Published, Publisher, PublishTerms } from './publish.ts';

/** A publisher for tests: it keeps what it is given, and fails as it is told. */
export interface FakePublisher extends Publisher {
  /** What was published, in order, as `channel payload`; duplicates are not. */
  readonly published: readonly string[];
  /** The idempotency keys and terms of all calls. */
  readonly asked: readonly { readonly key: string | undefined; readonly terms: PublishTerms }[];
  /** How often `publish` was called. */
  readonly calls: number;
  /**
   * From the call with this number (from 1) on, this error is thrown, after the publication was
   * executed all the same when `executed`.
   */
  failFrom(call: number, error: Error, options?: { readonly executed: boolean }): void;
  /** From now on it says that it is not available, and every call throws so. */
  goDown(): void;
  /** Calls succeed again. */
  recover(): void;
  /** Calls do not settle until the returned function is called. */
  hold(): () => void;
}

/** Numbers each channel from 1, in the epoch `e`, and never forgets a key. */
export function createFakePublisher(): FakePublisher {
  const published: string[] = [];
  const asked: { key: string | undefined; terms: PublishTerms }[] = [];
  const offsets = new Map<string, number>();
  const known = new Map<string, number>();
  let failingFrom = Number.POSITIVE_INFINITY;
  let executed = false;
  let failure: Error = new RedisUnavailableError('not-sent', 'down');
  let held: Promise<void> | undefined;

  function execute(channel: string, payload: string | Uint8Array, key: string): Published {
    const first = known.get(key);
    if (first !== undefined) return { epoch: 'e', offset: first, duplicate: true };
    const offset = (offsets.get(channel) ?? 0) + 1;
    offsets.set(channel, offset);
    known.set(key, offset);
    published.push(`${channel} ${Buffer.from(payload).toString('utf8')}`);
    return { epoch: 'e', offset, duplicate: false };
  }

  return {
    get available() {
      return failingFrom > 0;
    },
    published,
    asked,
    get calls() {
      return asked.length;
    },
    failFrom(call, error, options = { executed: false }) {
      failingFrom = call;
      failure = error;
      executed = options.executed;
    },
    goDown() {
      failingFrom = 0;
      failure = new RedisUnavailableError('not-sent', 'down');
      executed = false;
    },
    recover() {
      failingFrom = Number.POSITIVE_INFINITY;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
    async publish({ channel, payload, idempotencyKey }, terms) {
      asked.push({ key: idempotencyKey, terms });
      const key = `${channel} ${idempotencyKey ?? asked.length}`;
      const fails = asked.length >= failingFrom;
      const answer = fails && !executed ? undefined : execute(channel, payload, key);
      if (fails || answer === undefined) throw failure;
      await held;
      return answer;
    },
  };
}
