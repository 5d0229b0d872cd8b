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
      /** What `data` has in the publication: JSON. It may share memory with the message. */
      readonly payload: Uint8Array;
    }
  | { readonly ok: false; readonly reason: UndeliverableReason };

/**
 * The size of the blocks that Node shares out for small buffers (`Buffer.poolSize`), and so for the bodies of publications,
 * in bytes. Bodies with blocks of their own lie far apart: each client that is sent one then waits for memory, and the
 * collector keeps account of each. A body that a stalled client still waits for keeps its whole block: at most this times
 * the slots of its queue, and no block is older than the longest lag.
 */
export const BODY_BLOCK_BYTES = 16 * 1024;

/**
 * Encodes a message into the publication that all subscribers of the node share. No payload can reach outside the
 * envelope's `data`: see {@link measurePayload}.
 *
 * @param message its offset is 0 when it has none. The payload is copied, so its owner may reuse it.
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
