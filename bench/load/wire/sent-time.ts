const TIME_KEY = Buffer.from('"t":');
/** Digits of µs since 1970; 16 until the year 2286. */
const LONGEST_TIME_DIGITS = 17;

/**
 * Reads when a publication was due, in µs since the Unix epoch: the number after the first `"t":` in its beginning.
 * Undefined if there is none.
 */
export function readSentTime(start: Buffer): number | undefined {
  const key = start.indexOf(TIME_KEY);
  if (key === -1) return undefined;
  const from = key + TIME_KEY.length;
  const text = start.toString('latin1', from, Math.min(start.length, from + LONGEST_TIME_DIGITS));
  const micros = Number.parseInt(text, 10);
  return Number.isNaN(micros) ? undefined : micros;
}
