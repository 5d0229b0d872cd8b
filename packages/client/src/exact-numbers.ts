/** Digits that every double keeps. */
const EXACT_DIGITS = 15;

/**
 * A reviver that loses no digit: a number with more than 15 significant digits becomes its source text, a string. All
 * others stay numbers. It needs a runtime whose `JSON.parse` gives the source (Node from 21, Chrome from 114, Safari
 * from 18.4, Firefox from 135), and changes nothing elsewhere.
 */
export function exactNumbers(
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined) return value;
  const digits = source.replace(/e.*$|[-.]/gi, '').replace(/^0+/, '').length;
  return digits <= EXACT_DIGITS ? value : source;
}
