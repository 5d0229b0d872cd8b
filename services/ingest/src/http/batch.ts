import { isUtf8 } from 'node:buffer';
import { fault, refusal } from '../publishing/faults.ts';
import type { Item } from '../publishing/item.ts';
import { elementSpans, type Span, valueSpan } from './json-spans.ts';

/** One JSON value of a request's body, and its position in the source text. */
export interface SourceValue {
  readonly value: unknown;
  readonly text: string;
  readonly span: Span;
}

/** Whether a body holds one JSON text, or one a line. */
export type BatchFormat = 'json' | 'ndjson';

const BYTE_ORDER_MARK = '\ufeff';

const NDJSON_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl'];

/**
 * Returns the format that a `content-type` names. Every name that is not one of NDJSON counts as JSON, because tools give
 * JSON many names; the parser refuses what is not JSON.
 */
export function batchFormatOf(contentType: string | undefined): BatchFormat {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return NDJSON_TYPES.includes(type) ? 'ndjson' : 'json';
}

/**
 * Makes items of a body that holds one object, an array of objects, or one object a line. A line that is not JSON spoils
 * only its own item. Blank lines are skipped and not counted.
 *
 * @param toItem makes an item of an entry; called only for objects.
 * @throws HttpError bad_payload (not UTF-8), bad_json, or bad_message (no or too many entries).
 */
export function itemsOf(
  body: Uint8Array,
  format: BatchFormat,
  maxItems: number,
  toItem: (source: SourceValue) => Item,
): readonly Item[] {
  if (!isUtf8(body)) throw refusal('bad_payload', 'The body is not UTF-8.');
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  const items =
    format === 'json' ? itemsOfJson(text, maxItems, toItem) : itemsOfLines(text, maxItems, toItem);
  if (items.length === 0) throw refusal('bad_message', 'The request holds no entry.');
  return items;
}

/** Makes an item of one JSON text, such as a line. A mistake in it becomes the item's error. */
export function itemOfText(text: string, toItem: (source: SourceValue) => Item): Item {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const message = text.startsWith(BYTE_ORDER_MARK)
      ? 'The line begins with a byte order mark, which JSON does not have.'
      : undefined;
    return { ok: false, error: fault('bad_json', message) };
  }
  return itemOfValue({ value, text, span: valueSpan(text) }, toItem);
}

function itemsOfJson(
  text: string,
  maxItems: number,
  toItem: (source: SourceValue) => Item,
): readonly Item[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refusal(
      'bad_json',
      text.startsWith(BYTE_ORDER_MARK)
        ? 'The body begins with a byte order mark, which JSON does not have.'
        : 'The body is not one JSON text. For one a line, set the content-type application/x-ndjson.',
    );
  }
  const span = valueSpan(text);
  if (!Array.isArray(value)) return [itemOfValue({ value, text, span }, toItem)];
  checkCount(value.length, maxItems);
  const spans = elementSpans(text, span);
  return spans.map((element, index) =>
    itemOfValue({ value: value[index] as unknown, text, span: element }, toItem),
  );
}

function itemsOfLines(
  text: string,
  maxItems: number,
  toItem: (source: SourceValue) => Item,
): readonly Item[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  checkCount(lines.length, maxItems);
  return lines.map((line) => itemOfText(line, toItem));
}

function itemOfValue(source: SourceValue, toItem: (source: SourceValue) => Item): Item {
  const { value } = source;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { ok: false, error: fault('bad_message', 'Each entry must be a JSON object.') };
  }
  return toItem(source);
}

function checkCount(count: number, maxItems: number): void {
  if (count <= maxItems) return;
  throw refusal(
    'message_too_large',
    `The request holds ${count} entries; at most ${maxItems} are allowed.`,
  );
}
