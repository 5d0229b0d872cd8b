import type { Duplex } from 'node:stream';

/** Bytes that are still read from a peer after its answer, and thrown away. */
const MAX_DISCARDED_BYTES = 64 * 1024;

/** Time for a peer to read its answer and to close, in ms: several round trips around the world. */
export const LINGER_MS = 1_000;

/**
 * Closes our half of a connection, and the rest when the peer has closed its half, or after {@link LINGER_MS}. The
 * kernel would reset the connection if it closed at once with unread bytes, and the peer could lose the answer. Above
 * {@link MAX_DISCARDED_BYTES} nothing more is read, so the peer's writes stall until the end.
 */
export function closeLingering(stream: Duplex): void {
  let discarded = 0;
  stream.on('error', () => stream.destroy());
  stream.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > MAX_DISCARDED_BYTES) stream.pause();
  });
  stream.once('end', () => stream.destroy());
  const timer = setTimeout(() => stream.destroy(), LINGER_MS);
  stream.once('close', () => clearTimeout(timer));
  stream.end();
}
