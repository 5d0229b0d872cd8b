import { measurePayload } from '@tradewind/protocol';
import { fault, refusal } from '../publishing/faults.ts';
import { checkItem, type Item, tooLarge } from '../publishing/item.ts';
import { startsWithByteOrderMark } from './byte-order-mark.ts';

/**
 * The beginning of the header of a sequenced publication. Only the publish script may write one: an edge would read a
 * payload that begins like this as an offset of the channel.
 */
const HEADER_START = /^@[0-9]+:/;
const HEADER_START_BYTES = 24;

/** Decodes the channel in a path. Its syntax is checked later. */
export function channelOfPath(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw refusal('bad_channel', 'The path is not percent-encoded UTF-8.');
  }
}

/** A body that is published byte for byte. */
export interface RawPayload {
  readonly body: Uint8Array;
  /** Whether its content-type says that it is JSON. */
  readonly isJson: boolean;
  /** Called if the body is accepted and is not JSON. */
  readonly isText: () => void;
}

/**
 * Makes an item of a body that is published byte for byte. A body that no edge could deliver is refused here, where the
 * caller gets the error.
 */
export function rawItem(
  channel: string,
  { body, isJson, isText }: RawPayload,
  maxPublicationBytes: number,
  idempotencyKey?: string,
): Item {
  if (body.length === 0) return badPayload('The body is empty.');
  const start = Buffer.from(body.subarray(0, HEADER_START_BYTES)).toString('latin1');
  if (HEADER_START.test(start)) return badPayload('The body begins like a publication header.');
  const measured = measurePayload(body, maxPublicationBytes);
  if (measured.kind === 'unreadable') return badPayload('The body is not UTF-8.');
  if (measured.kind === 'too_large') return tooLarge(maxPublicationBytes);
  if (measured.kind === 'text' && isJson) {
    return { ok: false, error: fault('bad_json', notJson(body)) };
  }
  const item = checkItem(channel, body, maxPublicationBytes, idempotencyKey);
  if (item.ok && measured.kind === 'text') isText();
  return item;
}

function notJson(body: Uint8Array): string {
  const fault = startsWithByteOrderMark(body)
    ? 'the body begins with a byte order mark'
    : 'the body is no JSON';
  return `The content-type says JSON, but ${fault}. Send text with text/plain.`;
}

function badPayload(message: string): Item {
  return { ok: false, error: fault('bad_payload', message) };
}
