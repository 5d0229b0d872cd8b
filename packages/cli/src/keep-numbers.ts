/** `JSON.rawJSON` of ECMAScript's "JSON.parse source text access", which the types do not have yet. */
const { rawJSON } = JSON as typeof JSON & { rawJSON?: (text: string) => unknown };

/** A reviver that keeps numbers as they were written: 1.10 stays 1.10 when the value is printed as JSON again. */
export function keepNumbers(
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  const source = context?.source;
  return typeof value === 'number' && source !== undefined && rawJSON ? rawJSON(source) : value;
}
