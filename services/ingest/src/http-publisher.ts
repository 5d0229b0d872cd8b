import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import type { Publisher } from './publish.ts';

/** How long an answer may take, in ms: longer than the service itself waits for a dead Redis. */
const ANSWER_DEADLINE_MS = 10_000;

/**
 * A publisher that goes through an ingest service instead of to Redis.
 *
 * @param baseUrl such as `http://127.0.0.1:8081`.
 * @param token the bearer token, where the service wants one.
 */
export function createHttpPublisher(baseUrl: string, token: string | undefined): Publisher {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    available: true,
    async publish(channel, payload) {
      const url = new URL(`/v1/channels/${encodeURIComponent(channel)}`, baseUrl);
      const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
      let status: number;
      let body: HttpAnswer;
      try {
        const response = await fetch(url, { method: 'POST', headers, body: payload, signal });
        status = response.status;
        body = (await response.json()) as HttpAnswer;
      } catch (error) {
        throw new RedisUnavailableError('unknown', causeOf(error));
      }
      if (status === 200 && typeof body.receivers === 'number') return body.receivers;
      const reason = `HTTP ${status} ${body.error?.code ?? ''} ${body.error?.message ?? ''}`.trim();
      if (status === 503) {
        throw new RedisUnavailableError(
          body.outcome === 'unknown' ? 'unknown' : 'not-sent',
          reason,
        );
      }
      throw new RedisRefusedError(reason);
    },
  };
}

interface HttpAnswer {
  readonly receivers?: number;
  readonly error?: { readonly code?: string; readonly message?: string };
  readonly outcome?: string;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== ''
    ? error.cause.message
    : error.message;
}
