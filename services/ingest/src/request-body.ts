import type { IncomingMessage } from 'node:http';
import { refusal } from './faults.ts';

/**
 * What is still read, and thrown away, of a body that was refused, in bytes. A peer that is cut off
 * while it sends loses the answer; one that never ends loses the connection.
 */
const MAX_DISCARDED_BYTES = 4 * 1024 * 1024;

/**
 * Reads a request's body, with or without a `content-length`.
 *
 * @throws HttpError message_too_large as soon as it is clear that there are more than `maxBytes`,
 *   bad_payload for a compressed one, bad_message when the peer goes away.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    discardBody(request);
    throw refusal('bad_payload', 'A body with a content-encoding is not accepted.');
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(request, maxBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(request)) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(request, maxBytes);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

/** Lets the peer finish sending what nobody wants, up to a limit. */
export function discardBody(request: IncomingMessage): void {
  let discarded = 0;
  request.on('error', () => undefined);
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > MAX_DISCARDED_BYTES) request.socket.destroy();
  });
}

async function* chunksOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch {
    throw refusal('bad_message', 'The body ended early.');
  }
}

function tooLarge(request: IncomingMessage, maxBytes: number): Error {
  discardBody(request);
  return refusal('message_too_large', `The body is larger than ${maxBytes} bytes.`);
}
