import type { Duplex } from 'node:stream';

/** What is still read, and thrown away, of what a peer sends after its answer, in bytes. */
export const MAX_DISCARDED_BYTES = 64 * 1024;

/** How long a peer has to read its answer and to close, in ms: several round trips around the world. */
export const LINGER_MS = 1_000;

/**
 * Closes our half of a connection, and the rest when the peer has closed its own, or after
 * {@link LINGER_MS}. If bytes that nobody read were left behind at once, the kernel would reset the
 * connection and the peer could lose the answer. Above {@link MAX_DISCARDED_BYTES} nothing more is
 * read: the peer's writes stall until the end.
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
