import type { Publication, WireChannel } from '@tradewind/fanout';
import {
  encodePublicationBody,
  measurePayload,
  type UndeliverableReason,
} from '@tradewind/protocol';
import type { HistoryEntry } from '../sequence/message.ts';

/** The publication, or why its payload cannot be delivered. */
export type EncodedPublication =
  | {
      readonly ok: true;
      readonly publication: Publication;
      /** The JSON of the publication's `data`. It may share memory with the message. */
      readonly payload: Uint8Array;
    }
  | { readonly ok: false; readonly reason: UndeliverableReason };

/**
 * The size of the blocks that Node divides into small buffers (`Buffer.poolSize`), such as the bodies of publications, in bytes.
 * If each body had a block of its own, bodies would lie far apart: each write would wait for memory, and the collector would
 * have to track every body. A body that a stalled client waits for keeps its whole block alive: at most this size times the
 * slots of the client's queue, for no longer than the longest lag.
 */
export const BODY_BLOCK_BYTES = 16 * 1024;

/**
 * Encodes a message into the publication that all subscribers of the node share. No payload can escape from the envelope's
 * `data`: see {@link measurePayload}.
 *
 * @param message its offset is 0 if it has none. The payload is copied, so its owner may reuse it.
 * @param maxPublicationBytes the largest payload that is delivered.
 * @param wire see `Publication`.
 */
export function encodePublication(
  channel: string,
  { offset, publishedAt, payload }: HistoryEntry,
  maxPublicationBytes: number,
  wire?: WireChannel,
): EncodedPublication {
  const measured = measurePayload(payload, maxPublicationBytes);
  if (measured.kind === 'too_large' || measured.kind === 'unreadable') {
    return { ok: false, reason: measured.kind };
  }
  const body = encodePublicationBody(
    channel,
    offset === 0 ? undefined : offset,
    publishedAt,
    measured.json,
    Buffer.allocUnsafe,
  );
  const publication = { channel, offset, body, publishedAt, wire, deflated: undefined };
  return { ok: true, publication, payload: measured.json };
}

/** The largest body that {@link encodePublication} makes, in bytes: the payload and the envelope around it. */
export function maxBodyBytes(maxPublicationBytes: number): number {
  const ENVELOPE_BYTES = 256;
  return maxPublicationBytes + ENVELOPE_BYTES;
}
