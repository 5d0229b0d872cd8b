import type { Publication } from '@tradewind/fanout';
import { checkPayload, encodePublicationTail } from '@tradewind/protocol';
import type { TailMemory } from './tail-memory.ts';

/** Why a message from Redis is not passed on. */
export type DropReason =
  /** Larger than the node's limit, as it came or as a JSON string. */
  | 'too_large'
  /** Not UTF-8. */
  | 'unreadable'
  /** Claims an offset that nothing confirms: a forged header, or history is not available here. */
  | 'unconfirmed_header'
  /** Claims a header version that this release does not know. */
  | 'unknown_header';

export type Intake =
  | { readonly ok: true; readonly publication: Publication }
  | { readonly ok: false; readonly reason: DropReason };

const AT_SIGN = 0x40;
const HEADER = /^@(\d{1,9}):/;
const HEADER_BYTES_AT_MOST = 11;

/**
 * Turns what Redis delivered on a channel into the publication that all its subscribers share. No
 * payload can reach outside the envelope's `data`: see {@link checkPayload}.
 *
 * @param payload copied, so the caller may reuse it.
 * @param maxPublicationBytes the largest payload that is passed on.
 * @param now the time to stamp on it, ms since the Unix epoch: a plain message carries none.
 * @param memory where its tail is put.
 */
export function takeIn(
  channel: string,
  payload: Buffer,
  maxPublicationBytes: number,
  now: number,
  memory: TailMemory,
): Intake {
  if (payload.length > maxPublicationBytes) return { ok: false, reason: 'too_large' };
  if (payload[0] === AT_SIGN) {
    const version = HEADER.exec(payload.toString('latin1', 0, HEADER_BYTES_AT_MOST))?.[1];
    if (version === '1') return { ok: false, reason: 'unconfirmed_header' };
    if (version !== undefined) return { ok: false, reason: 'unknown_header' };
  }
  const checked = checkPayload(payload);
  if (checked.kind === 'unreadable') return { ok: false, reason: 'unreadable' };
  if (checked.json.length > maxPublicationBytes) return { ok: false, reason: 'too_large' };
  const tail = encodePublicationTail(channel, undefined, now, checked.json, memory.take);
  return { ok: true, publication: { channel, tail, publishedAt: now } };
}

/** The largest tail that {@link takeIn} makes, in bytes: the payload and the envelope around it. */
export function maxTailBytes(maxPublicationBytes: number): number {
  const ENVELOPE_BYTES = 256;
  return maxPublicationBytes + ENVELOPE_BYTES;
}
