import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { refusal } from '../publishing/faults.ts';

/**
 * What a body must bring on average, in bytes a second, once it has taken {@link BODY_GRACE_MS}. A request
 * must be there within 10 s anyway; this ends the slow ones while they hold a place for 2 s, not 10.
 */
export const MIN_BODY_BYTES_PER_SECOND = 4_096;

/** How long a body may be slow, in ms: a lost packet is sent again several times in that. */
const BODY_GRACE_MS = 2_000;

/** How often a body that does not come at once is looked at, in ms. */
const PACE_INTERVAL_MS = 500;

/** Headers of which a second one would be ignored, or would say something else than the first. */
const SINGLE_HEADERS = [
  'authorization',
  'content-encoding',
  'content-type',
  'idempotency-key',
  'idempotency-source',
] as const;

/**
 * Reads a request's body, with or without a `content-length`. Call {@link checkHeaders} before.
 *
 * @throws HttpError message_too_large as soon as it is clear that there are more than `maxBytes`,
 *   request_timeout for one that comes too slowly, bad_message when the peer goes away.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (request.headers.expect !== undefined) response.writeContinue();
  const chunks: Buffer[] = [];
  let size = 0;
  const pace = watchPace(request, () => size);
  try {
    for await (const chunk of chunksOf(request, pace)) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
  } finally {
    pace.stop();
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

/** Whether a body is declared to be JSON, by the media type itself or by its suffix. */
export function declaresJson({ 'content-type': contentType = '' }: IncomingHttpHeaders): boolean {
  return /^[^;]*[/+]json\s*(;|$)/i.test(contentType);
}

/**
 * Checks what is to be believed of a request before any header of it is used.
 *
 * @throws HttpError bad_message for a header that may be there once and is there twice, unsupported_media_type for a body
 *   that is compressed or in another charset than UTF-8.
 */
export function checkHeaders({ headers, headersDistinct }: IncomingMessage): void {
  for (const name of SINGLE_HEADERS) {
    const values = headersDistinct[name];
    if (values !== undefined && values.length > 1) {
      throw refusal('bad_message', `The header ${name} is there ${values.length} times.`);
    }
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.trim().toLowerCase() !== 'identity') {
    throw refusal('unsupported_media_type', 'A body with a content-encoding is not accepted.');
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw refusal(
      'unsupported_media_type',
      'A body must be UTF-8; its content-type says otherwise.',
    );
  }
}

interface Pace {
  /** Rejects when the body comes too slowly. */
  readonly tooSlow: Promise<never>;
  stop(): void;
}

function watchPace(request: IncomingMessage, size: () => number): Pace {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  // Most bodies are there already, and need no timer.
  if (request.complete) return { tooSlow: promise, stop: () => undefined };
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const ms = performance.now() - startedAt;
    if (ms < BODY_GRACE_MS || size() >= (ms / 1_000) * MIN_BODY_BYTES_PER_SECOND) return;
    reject(refusal('request_timeout', 'The body came too slowly.'));
  }, PACE_INTERVAL_MS);
  return { tooSlow: promise, stop: () => clearInterval(timer) };
}

async function* chunksOf(request: IncomingMessage, { tooSlow }: Pace): AsyncGenerator<Buffer> {
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  for (;;) {
    const next = chunks.next().catch(() => {
      throw refusal('bad_message', 'The body ended early.');
    });
    next.catch(() => undefined);
    const { done, value } = await Promise.race([next, tooSlow]);
    if (done === true) return;
    yield value;
  }
}

function tooLarge(maxBytes: number): Error {
  return refusal('message_too_large', `The body is larger than ${maxBytes} bytes.`);
}
