import {
  NotPublishedError,
  type Published,
  type PublishOptions,
  type SequencedPublisher,
} from './publisher.ts';

/** How long an answer may take, in ms. */
const ANSWER_DEADLINE_MS = 15_000;

/**
 * Publishes over HTTP through an ingest, like a backend without Redis. Concurrent requests may arrive in any order; a
 * caller that needs an order must have one request in flight at a time.
 */
export function ingestPublisher(url: string): SequencedPublisher {
  return {
    async publish(channel, payload, options: PublishOptions = {}): Promise<Published> {
      const { idempotencyKey } = options;
      const response = await fetch(`${url}/v1/channels/${channel}`, {
        method: 'POST',
        body: payload,
        headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
        signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
      });
      const body = (await response.json()) as Partial<Published> & { readonly outcome?: string };
      const { epoch, offset, duplicate = false } = body;
      if (!response.ok || epoch === undefined || offset === undefined) {
        const told = `ingest answered ${response.status}: ${JSON.stringify(body)}`;
        throw body.outcome === 'unknown' ? new Error(told) : new NotPublishedError(told);
      }
      return { epoch, offset, duplicate };
    },
    [Symbol.dispose]: () => {},
  };
}
