import type { SourceValue } from './batch.ts';
import { fault } from './faults.ts';
import { isIdempotencyKey } from './idempotency-key.ts';
import { checkItem, type Item } from './item.ts';
import { memberSpans } from './json-spans.ts';

/**
 * Makes an item of `{channel, data}`, with `idempotencyKey` if there is one: the payload is `data` as
 * it was written in the source text.
 */
export function publishEntry(
  { value, text, span }: SourceValue,
  maxPublicationBytes: number,
): Item {
  const { channel, idempotencyKey } = value as {
    readonly channel?: unknown;
    readonly idempotencyKey?: unknown;
  };
  const data = memberSpans(text, span).get('data');
  if (typeof channel !== 'string' || data === undefined) {
    const message = 'Each entry needs a channel, which is a string, and data.';
    return { ok: false, error: fault('bad_message', message) };
  }
  if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey)) {
    return { ok: false, error: fault('bad_idempotency_key') };
  }
  return checkItem(channel, text.slice(data.start, data.end), maxPublicationBytes, idempotencyKey);
}
