import { isEpoch, isOffset, type Position } from '@tradewind/protocol';

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
