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
 * Reads a request's body, with or without a `content-length`. Call {@link checkHeaders} before. The caller owns the result;
 * where it came in one piece, it may be a view into a larger chunk that was read from the socket.
 *
 * @throws HttpError message_too_large as soon as it is clear that there are more than `maxBytes`,
 *   request_timeout for one that comes too slowly, bad_message when the peer goes away.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Promise<Buffer> {
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  if (declaredBytes > maxBytes) throw tooLarge(maxBytes);
  if (request.headers.expect !== undefined) response.writeContinue();
  const body = new BodyBytes(declaredBytes);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const endedEarly = (): void => reject(refusal('bad_message', 'The body ended early.'));
  const take = (chunk: Buffer): void => {
    body.append(chunk);
    if (body.length > maxBytes) reject(tooLarge(maxBytes));
  };
  const timer = watchPace(request, body, reject);
  // Whoever is gone tells so once only, maybe before this.
  if (request.destroyed) endedEarly();
  request.on('data', take).on('end', resolve).on('error', endedEarly).on('close', endedEarly);
  try {
    await promise;
  } finally {
    clearInterval(timer);
    // What is left of a body that is refused is not wanted: it waits in the kernel. An error may still come.
    request.pause();
    request.off('data', take).off('end', resolve).off('close', endedEarly);
  }
  return body.bytes;
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

/** Ends a body that comes too slowly. Most bodies are there already, and need no timer. */
function watchPace(
  request: IncomingMessage,
  body: BodyBytes,
  tooSlow: (error: Error) => void,
): NodeJS.Timeout | undefined {
  if (request.complete) return undefined;
  const startedAt = performance.now();
  return setInterval(() => {
    const ms = performance.now() - startedAt;
    if (ms < BODY_GRACE_MS || body.length >= (ms / 1_000) * MIN_BODY_BYTES_PER_SECOND) return;
    tooSlow(refusal('request_timeout', 'The body came too slowly.'));
  }, PACE_INTERVAL_MS);
}

/**
 * Gathers a body in one piece of memory: a sender decides how small the chunks are, and a list of them takes hundreds of
 * times what a body of single bytes has.
 */
class BodyBytes {
  readonly #declaredBytes: number;
  #memory: Buffer = Buffer.alloc(0);
  length = 0;

  /** @param declaredBytes how long the body says that it is; 0 if it does not say. */
  constructor(declaredBytes: number) {
    this.#declaredBytes = declaredBytes;
  }

  /** All of it. What is published from it is kept for a while, so it has no more memory than it has bytes. */
  get bytes(): Buffer {
    if (this.#memory.length === this.length) return this.#memory;
    return Buffer.from(this.#memory.subarray(0, this.length));
  }

  append(chunk: Buffer): void {
    const before = this.length;
    this.length += chunk.length;
    if (before === 0) {
      this.#memory = chunk;
      return;
    }
    if (this.length > this.#memory.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(2 * before, this.length, this.#declaredBytes));
      this.#memory.copy(grown, 0, 0, before);
      this.#memory = grown;
    }
    chunk.copy(this.#memory, before);
  }
}

function tooLarge(maxBytes: number): Error {
  return refusal('message_too_large', `The body is larger than ${maxBytes} bytes.`);
}
