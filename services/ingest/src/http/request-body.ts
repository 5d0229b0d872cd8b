import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { refusal } from '../publishing/faults.ts';

/**
 * The lowest average rate of a body that has taken {@link BODY_GRACE_MS}, in bytes a second. Every request must be complete
 * within 10 s anyway; this limit ends slow ones after 2 s, so that they hold a place for less time.
 */
export const MIN_BODY_BYTES_PER_SECOND = 4_096;

/** How long a body may be slow, in ms: enough to send a lost packet again several times. */
const BODY_GRACE_MS = 2_000;

/** The interval at which the rate of an incomplete body is checked, in ms. */
const PACE_INTERVAL_MS = 500;

/** Headers that must not be repeated: the second value would be ignored, or would contradict the first. */
const SINGLE_HEADERS = [
  'authorization',
  'content-encoding',
  'content-type',
  'idempotency-key',
  'idempotency-source',
] as const;

/**
 * Reads a request's body, with or without a `content-length`. Call {@link checkHeaders} before. The caller owns the result.
 * A body that arrived in one piece may be a view into a larger chunk that was read from the socket.
 *
 * @throws HttpError message_too_large as soon as the body is known to exceed `maxBytes`, request_timeout if it arrives too
 *   slowly, bad_message if the peer disconnects.
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
  // A socket reports its end only once, and that may have been before this call.
  if (request.destroyed) endedEarly();
  request.on('data', take).on('end', resolve).on('error', endedEarly).on('close', endedEarly);
  try {
    await promise;
  } finally {
    clearInterval(timer);
    // The rest of a refused body stays unread in the kernel. The request may still emit an error.
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
 * Checks a request's headers before any of them is used.
 *
 * @throws HttpError bad_message for a repeated header of {@link SINGLE_HEADERS}, unsupported_media_type for a body that is
 *   compressed or in another charset than UTF-8.
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

/** Ends a body that arrives too slowly. Most bodies are complete at once and need no timer. */
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
 * Collects a body in one piece of memory. The sender decides how small the chunks are, and a list of single bytes would take
 * hundreds of times the memory of the body.
 */
class BodyBytes {
  readonly #declaredBytes: number;
  #memory: Buffer = Buffer.alloc(0);
  length = 0;

  /** @param declaredBytes the length by `content-length`; 0 without one. */
  constructor(declaredBytes: number) {
    this.#declaredBytes = declaredBytes;
  }

  /** The whole body, in exactly as much memory as it has bytes, because publications cut from it are kept for a while. */
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
