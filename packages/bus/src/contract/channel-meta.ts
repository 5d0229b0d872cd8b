import { isEpoch, isOffset, type Position } from '@tradewind/protocol';

/**
 * Bytes of `meta` that are read: one more than the longest that makes sense, so that anything longer is seen
 * to be none. An epoch has at most 16, an offset as well, and there is a colon between.
 */
export const META_READ_BYTES = 34;

const DIGITS = /^\d{1,16}$/;

/** Reads what a `meta` key holds; undefined when it is missing or not `<epoch>:<offset>`. */
export function readMeta(value: string | null): Position | undefined {
  if (value === null) return undefined;
  const colon = value.indexOf(':');
  const epoch = value.slice(0, Math.max(colon, 0));
  const digits = value.slice(colon + 1);
  if (!isEpoch(epoch) || !DIGITS.test(digits)) return undefined;
  const offset = Number(digits);
  return isOffset(offset) ? { epoch, offset } : undefined;
}
