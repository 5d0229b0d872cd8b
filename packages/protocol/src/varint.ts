/**
 * Unsigned integers as LEB128: seven bits a byte, the lowest first; the highest bit of each byte says that another follows.
 * JavaScript shifts 32 bits, and numbers here have up to 53: what is larger is divided, which takes several times as long.
 */

/** The most bytes that a number up to 2^53−1 takes. */
export const MAX_VARINT_BYTES = 8;

/** How many bytes an integer from 0 to 2^53−1 takes. */
export function varintBytes(integer: number): number {
  let bytes = 1;
  for (let bound = 128; integer >= bound; bound *= 128) bytes += 1;
  return bytes;
}

/**
 * Writes an integer from 0 to 2^53−1 at `start`. The caller has checked that there is room.
 *
 * @returns where it ends.
 */
export function writeVarint(bytes: Uint8Array, start: number, integer: number): number {
  let at = start;
  let rest = integer;
  while (rest >= 128) {
    bytes[at] = (rest & 0x7f) | 0x80;
    rest = rest < 2 ** 31 ? rest >> 7 : Math.floor(rest / 128);
    at += 1;
  }
  bytes[at] = rest;
  return at + 1;
}
