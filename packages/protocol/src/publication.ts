import { isPlainJson } from './json-text.ts';

/** A payload that Redis delivered, after the one check that it can stand inside an envelope. */
export type Payload =
  /** UTF-8 JSON, unchanged. */
  | { readonly kind: 'json'; readonly json: Uint8Array }
  /** UTF-8 text that is not JSON; `json` is that text as a JSON string. */
  | { readonly kind: 'text'; readonly json: Uint8Array }
  /** Not UTF-8: it cannot stand in a text frame. */
  | { readonly kind: 'unreadable' };

const encoder = new TextEncoder();
/** `ignoreBOM` keeps a byte order mark in the text, where JSON refuses it, instead of removing it. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Checks once that a payload is UTF-8 JSON, so that nothing in it can reach outside the `data` that it is put in. The
 * bytes are passed on unchanged: numbers keep their digits, and objects their order. The result may share memory with `bytes`.
 */
export function checkPayload(bytes: Uint8Array): Payload {
  if (isPlainJson(bytes)) return { kind: 'json', json: bytes };
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return { kind: 'unreadable' };
  }
  try {
    JSON.parse(text);
    return { kind: 'json', json: bytes };
  } catch {
    return { kind: 'text', json: encoder.encode(JSON.stringify(text)) };
  }
}

/** Why a payload cannot be delivered. */
export type UndeliverableReason =
  /** Larger than the limit, as it came or as a JSON string. */
  | 'too_large'
  /** Not UTF-8. */
  | 'unreadable';

/**
 * {@link checkPayload} with a limit. Ingest and edges both call it, so both measure what is sent: a text counts escaped and
 * with its quotes.
 *
 * @param maxBytes the most bytes that `data` may take in a frame.
 */
export function measurePayload(
  bytes: Uint8Array,
  maxBytes: number,
): Payload | { readonly kind: 'too_large' } {
  if (bytes.length > maxBytes) return { kind: 'too_large' };
  const checked = checkPayload(bytes);
  if (checked.kind === 'unreadable') return checked;
  return checked.json.length > maxBytes ? { kind: 'too_large' } : checked;
}

/**
 * Encodes the body of a publication: everything after `{"seq":n`, which all subscribers receive alike. It is made once a
 * node and shared, so nobody may write to it.
 *
 * @param channel a name that {@link isChannelName} accepts: it needs no escaping.
 * @param offset the publication's offset, or undefined for a plain one.
 * @param ts when it was published, ms since the Unix epoch.
 * @param json a JSON text that {@link checkPayload} returned. It is copied.
 * @param allocate returns memory that no other code writes to.
 */
export function encodePublicationBody(
  channel: string,
  offset: number | undefined,
  ts: number,
  json: Uint8Array,
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Uint8Array {
  const head = headOf(channel, offset, ts);
  const body = allocate(head.length + json.length + 1);
  encoder.encodeInto(head, body);
  body.set(json, head.length);
  body[body.length - 1] = 0x7d;
  return body;
}

/**
 * The body of a publication for those who were not sent the `skipped` ones before it: they asked for the latest one in each
 * interval. {@link payloadIn} does not read it.
 *
 * @param body that {@link encodePublicationBody} made of the same channel, offset and ts.
 * @param skipped at least 1.
 */
export function encodeLatestBody(
  body: Uint8Array,
  channel: string,
  offset: number | undefined,
  ts: number,
  skipped: number,
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): Uint8Array {
  const rest = body.subarray(headOf(channel, offset, ts).length);
  const head = headOf(channel, offset, ts, skipped);
  const made = allocate(head.length + rest.length);
  encoder.encodeInto(head, made);
  made.set(rest, head.length);
  return made;
}

/**
 * The payload in a body that {@link encodePublicationBody} made of the same arguments: a view, not a copy. So the body in
 * another format can be made of this one where somebody wants it, and no publication carries a number for that.
 */
export function payloadIn(
  body: Uint8Array,
  channel: string,
  offset: number | undefined,
  ts: number,
): Uint8Array {
  return body.subarray(headOf(channel, offset, ts).length, -1);
}

/** One byte a character: the channel's alphabet is ASCII, and so is the rest. */
function headOf(channel: string, offset: number | undefined, ts: number, skipped = 0): string {
  const position = offset === undefined ? '' : `"offset":${offset},`;
  const left = skipped === 0 ? '' : `"skipped":${skipped},`;
  return `,"channel":"${channel}",${position}"ts":${ts},${left}"data":`;
}
