import { channelNameFault, ERROR_CODES, type ErrorCode } from '@tradewind/protocol';
import type { HttpErrorDetails } from '@tradewind/runtime';
import { fault } from './faults.ts';

/** A publication to send: a valid channel and a payload within the limit. */
export interface Publication {
  readonly channel: string;
  /** Published byte for byte; a string as UTF-8. */
  readonly payload: string | Uint8Array;
  /** The payload's size in bytes. */
  readonly bytes: number;
  /** The caller's key, by which a second attempt is recognized and not published twice; see `isIdempotencyKey`. */
  readonly idempotencyKey?: string | undefined;
}

/** One entry of a request: a publication, or why it cannot be one. */
export type Item =
  | { readonly ok: true; readonly publication: Publication }
  | { readonly ok: false; readonly error: HttpErrorDetails };

/** Checks channel and size. Every publication of this service passes this function. */
export function checkItem(
  channel: string,
  payload: string | Uint8Array,
  maxPublicationBytes: number,
  idempotencyKey?: string,
): Item {
  const code = channelNameFault(channel);
  if (code !== undefined) return { ok: false, error: fault(code, channelMessage(channel, code)) };
  const bytes = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
  if (bytes > maxPublicationBytes) return tooLarge(maxPublicationBytes);
  return { ok: true, publication: { channel, payload, bytes, idempotencyKey } };
}

/** The longest part of a channel's name that an error repeats, in UTF-16 units. */
const MAX_QUOTED_LENGTH = 64;

/** Names the channel: an entry of a batch may not know which one is meant. */
function channelMessage(channel: string, code: ErrorCode): string {
  const quoted = JSON.stringify(channel.slice(0, MAX_QUOTED_LENGTH));
  const { meaning } = ERROR_CODES[code];
  return code === 'bad_channel' ? `${quoted} is no channel. ${meaning}` : `${quoted}: ${meaning}`;
}

/** Returns the error of a payload that edges would drop. */
export function tooLarge(maxPublicationBytes: number): Item {
  const message = `The payload is larger than ${maxPublicationBytes} bytes; text counts as a JSON string.`;
  return { ok: false, error: fault('publication_too_large', message) };
}
