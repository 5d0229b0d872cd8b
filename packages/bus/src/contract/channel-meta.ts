import { isEpoch, isOffset, type Position } from '@tradewind/protocol';

/**
 * Bytes of `meta` that are read: one more than the longest valid value, so that a longer value is recognized as invalid.
 * An epoch has at most 16 bytes, an offset at most 16, and one colon stands between.
 */
export const META_READ_BYTES = 34;

const DIGITS = /^\d{1,16}$/;

/** Parses the value of a `meta` key; undefined if it is missing or not `<epoch>:<offset>`. */
export function readMeta(value: string | null): Position | undefined {
  if (value === null) return undefined;
  const colon = value.indexOf(':');
  const epoch = value.slice(0, Math.max(colon, 0));
  const digits = value.slice(colon + 1);
  if (!isEpoch(epoch) || !DIGITS.test(digits)) return undefined;
  const offset = Number(digits);
  return isOffset(offset) ? { epoch, offset } : undefined;
}
