import { fault } from '../publishing/faults.ts';
import { checkItem, type Item } from '../publishing/item.ts';
import type { SourceValue } from './batch.ts';
import { isIdempotencyKey } from './idempotency-key.ts';
import { memberSpans } from './json-spans.ts';

const FIELDS = ['channel', 'data', 'idempotencyKey'];
const KNOWN =
  'An entry has `channel`, `data` and, if it must be published only once, `idempotencyKey`.';

/** The longest part of an unknown field's name that an error repeats, in UTF-16 units. */
const MAX_QUOTED_LENGTH = 64;

/**
 * Makes an item of `{channel, data}` and an optional `idempotencyKey`. The payload is `data` as it was written in the source
 * text. An unknown field is refused, because what the caller meant by it would not happen.
 */
export function publishEntry(
  { value, text, span }: SourceValue,
  maxPublicationBytes: number,
): Item {
  const { channel, idempotencyKey } = value as {
    readonly channel?: unknown;
    readonly idempotencyKey?: unknown;
  };
  const members = memberSpans(text, span);
  const unknown = [...members.keys()].find((name) => !FIELDS.includes(name));
  if (unknown !== undefined)
    return badEntry(`${quoted(unknown)} is no field of an entry. ${KNOWN}`);
  const data = members.get('data');
  if (data === undefined) return badEntry(`\`data\` is missing. ${KNOWN}`);
  if (typeof channel !== 'string') return badEntry(`\`channel\` must be a string. ${KNOWN}`);
  if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey)) {
    return { ok: false, error: fault('bad_idempotency_key') };
  }
  return checkItem(channel, text.slice(data.start, data.end), maxPublicationBytes, idempotencyKey);
}

function badEntry(message: string): Item {
  return { ok: false, error: fault('bad_message', message) };
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, MAX_QUOTED_LENGTH));
}
