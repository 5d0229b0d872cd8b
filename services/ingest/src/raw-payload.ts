import { isUtf8 } from 'node:buffer';
import { fault, refusal } from './faults.ts';
import { checkItem, type Item } from './item.ts';

/**
 * How the header of a sequenced publication begins. Only the publish script may write one; a
 * payload that looks like it would be read as a claim about the channel's offsets.
 */
const HEADER_START = /^@[0-9]+:/;
const HEADER_START_BYTES = 24;

/** The channel that stands percent-encoded in a path. Whether it is a valid one shows later. */
export function channelOfPath(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw refusal('bad_channel', 'The path is not percent-encoded UTF-8.');
  }
}

/**
 * Makes an item of a body that is published as it is. What no edge could deliver is refused here,
 * where somebody hears of it.
 */
export function rawItem(
  channel: string,
  body: Uint8Array,
  maxPublicationBytes: number,
  idempotencyKey?: string,
): Item {
  const message = rawPayloadFault(body);
  if (message !== undefined) return { ok: false, error: fault('bad_payload', message) };
  return checkItem(channel, body, maxPublicationBytes, idempotencyKey);
}

function rawPayloadFault(body: Uint8Array): string | undefined {
  if (body.length === 0) return 'The body is empty.';
  if (!isUtf8(body)) return 'The body is not UTF-8.';
  const start = Buffer.from(body.subarray(0, HEADER_START_BYTES)).toString('latin1');
  return HEADER_START.test(start) ? 'The body begins like a publication header.' : undefined;
}
