import type { Publication } from '@tradewind/fanout';
import {
  encodePublicationBody,
  measurePayload,
  type UndeliverableReason,
} from '@tradewind/protocol';

/** Why a payload is not passed on. */
export type DropReason = UndeliverableReason;

export type Intake =
  | { readonly ok: true; readonly publication: Publication }
  | { readonly ok: false; readonly reason: DropReason };

/**
 * The size of the blocks that Node shares out for small buffers (`Buffer.poolSize`), and with them for the bodies of publications, in
 * bytes. Bodies with blocks of their own lie far apart, where each client that is sent one waits for memory, and the
 * collector keeps account of each. But a body that a stalled client still waits for keeps all of its block: at most this times
 * the slots of its queue, and no block is older than the longest lag.
 */
export const BODY_BLOCK_BYTES = 16 * 1024;

/** A message of a channel without its header. */
export interface Message {
  /** 0 when it has none. */
  readonly offset: number;
  /** ms since the Unix epoch. */
  readonly publishedAt: number;
  /** Copied, so its owner may reuse it. */
  readonly payload: Buffer;
}

/**
 * Turns what Redis delivered on a channel into the publication that all its subscribers share. No
 * payload can reach outside the envelope's `data`: see {@link checkPayload}.
 *
 * @param maxPublicationBytes the largest payload that is passed on.
 */
export function takeIn(
  channel: string,
  { offset, publishedAt, payload }: Message,
  maxPublicationBytes: number,
): Intake {
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
  return { ok: true, publication: { channel, offset, body, publishedAt } };
}

/** The largest body that {@link takeIn} makes, in bytes: the payload and the envelope around it. */
export function maxBodyBytes(maxPublicationBytes: number): number {
  const ENVELOPE_BYTES = 256;
  return maxPublicationBytes + ENVELOPE_BYTES;
}
