import { setTimeout as sleep } from 'node:timers/promises';
import { RedisRefusedError, RedisUnavailableError } from '@tradewind/bus';
import { RETRY_AFTER_SECONDS } from '../publishing/faults.ts';
import type { Published, Publisher } from '../publishing/publish.ts';

/** How long an answer may take, in ms: longer than the service itself waits for Redis by default. */
const ANSWER_DEADLINE_MS = 10_000;

/**
 * How long the service's rate limit may refuse one publication, in ms. Its bucket refills within seconds; if others use all
 * of it for a minute, a person should know.
 */
export const RATE_LIMIT_PATIENCE_MS = 60_000;

/**
 * Creates a publisher that sends to an ingest service instead of Redis. A publication that the service's rate limit refuses
 * is sent again after the time that the service names. The service's terms hold, not those of a call. To keep the order
 * of publications, await each before the next.
 *
 * @param options.baseUrl such as `http://127.0.0.1:8081`.
 * @param options.token the bearer token, if the service needs one.
 * @param options.patienceMs how long one publication is repeated; see {@link RATE_LIMIT_PATIENCE_MS}.
 * @param options.signal ends the wait for the rate limit: the publication is not sent again, and its promise rejects with the
 *   signal's reason. A request in flight is still awaited.
 */
export function createHttpPublisher(options: {
  readonly baseUrl: string;
  readonly token: string | undefined;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}): Publisher {
  const { baseUrl, token, patienceMs, signal } = options;
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    available: true,
    async publish({ channel, payload, idempotencyKey }) {
      const url = new URL(`/v1/channels/${encodeURIComponent(channel)}`, baseUrl);
      const patientUntil = performance.now() + patienceMs;
      for (;;) {
        const answer = await post(url, { ...headers, ...keyHeader(idempotencyKey) }, payload);
        if (answer.status !== 429) return positionOf(answer);
        const leftMs = patientUntil - performance.now();
        if (leftMs <= 0) throw new RedisRefusedError(`HTTP 429 for ${patienceMs / 1_000} s`);
        await wait(Math.min(answer.retryAfterMs, leftMs), signal);
      }
    },
  };
}

interface Answer {
  readonly status: number;
  readonly retryAfterMs: number;
  readonly body: {
    readonly epoch?: string;
    readonly offset?: number;
    readonly duplicate?: boolean;
    readonly error?: { readonly code?: string; readonly message?: string };
    readonly outcome?: string;
  };
}

async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array,
): Promise<Answer> {
  const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
  try {
    const response = await fetch(url, { method: 'POST', headers, body, signal });
    const { status } = response;
    const text = await response.text();
    return {
      status,
      retryAfterMs: retryAfterMsOf(response.headers.get('retry-after')),
      // The 429 of a proxy may not be JSON; its status says enough.
      body: status === 429 ? {} : (JSON.parse(text) as Answer['body']),
    };
  } catch (error) {
    throw new RedisUnavailableError('unknown', causeOf(error));
  }
}

function keyHeader(key: string | undefined): Readonly<Record<string, string>> {
  return key === undefined ? {} : { 'idempotency-key': key };
}

function positionOf({ status, body }: Answer): Published {
  const { epoch, offset, duplicate } = body;
  if (status === 200 && typeof epoch === 'string' && typeof offset === 'number') {
    return { epoch, offset, duplicate: duplicate === true };
  }
  const reason = `HTTP ${status} ${body.error?.code ?? ''} ${body.error?.message ?? ''}`.trim();
  if (status === 503) {
    throw new RedisUnavailableError(body.outcome === 'unknown' ? 'unknown' : 'not-sent', reason);
  }
  throw new RedisRefusedError(reason);
}

/** Parses the whole seconds that ingest sends; a date, or no header, becomes the usual wait. */
function retryAfterMsOf(header: string | null): number {
  const seconds = /^[1-9][0-9]*$/.test(header ?? '') ? Number(header) : RETRY_AFTER_SECONDS;
  return seconds * 1_000;
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== ''
    ? error.cause.message
    : error.message;
}
