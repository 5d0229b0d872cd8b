import { fault } from '../publishing/faults.ts';
import { checkItem, type Item } from '../publishing/item.ts';
import type { SourceValue } from './batch.ts';
import { DEFAULT_SOURCE, keyOfParts } from './idempotency-key.ts';
import { memberSpans, type Span } from './json-spans.ts';

/** The most characters of a price or size: far more than any exchange uses. Bounds the cost of a check. */
const MAX_DECIMAL_LENGTH = 64;
const MAX_ID_LENGTH = 128;

/** A decimal number as in JSON, without an exponent. A price can be negative: that of oil was, in 2020. */
const PRICE = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/;
const SIZE = /^(0|[1-9][0-9]*)(\.[0-9]+)?$/;

/** The origin of trades that name none themselves. */
export interface TradeOrigin {
  readonly source: string;
  readonly run?: string;
}

/**
 * Makes an item of a trade: `symbol` (a string), `id` (a string or an integer), `ts` (ms since the
 * Unix epoch), `side` (`buy` or `sell`), `price` and `size` (decimal strings, because a JSON number
 * would be read as a binary fraction). Further fields are allowed. The channel is `<symbol>.trade`,
 * the payload the trade as it was written in the source text.
 *
 * Its idempotency key is `<source>:<id>`. The source is the trade's `source`, or else its `venue`: venues give out the ids,
 * and two venues may give out the same one.
 *
 * @param origin.source the source of trades that name none.
 * @param origin.run precedes the key, so that a run that repeats trades on purpose publishes them.
 */
export function tradeEntry(
  { value, text, span }: SourceValue,
  maxPublicationBytes: number,
  origin: TradeOrigin = { source: DEFAULT_SOURCE },
): Item {
  const trade = value as Readonly<Record<string, unknown>>;
  const message = tradeFault(trade);
  if (message !== undefined) return { ok: false, error: fault('bad_trade', message) };
  return checkItem(
    `${String(trade.symbol)}.trade`,
    text.slice(span.start, span.end),
    maxPublicationBytes,
    keyOfParts(
      ...(origin.run === undefined ? [] : [origin.run]),
      nonEmpty(trade.source) ?? nonEmpty(trade.venue) ?? origin.source,
      idOf(trade.id, text, span),
    ),
  );
}

/** Returns an id as it was written. `JSON.parse` makes the same number of ids that differ only after the 16th digit. */
function idOf(id: unknown, text: string, trade: Span): string {
  if (typeof id === 'string' || Number.isSafeInteger(id)) return String(id);
  const span = memberSpans(text, trade).get('id');
  return span === undefined ? String(id) : text.slice(span.start, span.end);
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function tradeFault(trade: Readonly<Record<string, unknown>>): string | undefined {
  const { symbol, id, ts, side, price, size } = trade;
  if (typeof symbol !== 'string' || symbol === '') return '`symbol` must be a string.';
  if (!isTradeId(id)) return '`id` must be a string or an integer.';
  if (!Number.isSafeInteger(ts) || (ts as number) < 0) {
    return '`ts` must be an integer, in ms since the Unix epoch.';
  }
  if (side !== 'buy' && side !== 'sell') return '`side` must be "buy" or "sell".';
  if (!isDecimal(price, PRICE)) return '`price` must be a decimal string such as "1666.80".';
  if (!isDecimal(size, SIZE)) return '`size` must be a decimal string such as "26.062".';
  return undefined;
}

function isTradeId(id: unknown): boolean {
  if (typeof id === 'string') return id !== '' && id.length <= MAX_ID_LENGTH;
  return Number.isInteger(id);
}

function isDecimal(value: unknown, form: RegExp): boolean {
  return typeof value === 'string' && value.length <= MAX_DECIMAL_LENGTH && form.test(value);
}
